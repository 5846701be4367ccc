/* SPDX-License-Identifier: MIT */
/*
 * Calls that must know what their caller's registers hold, before any compiled
 * code can move it: they save it, then go on in a function of C, which is given
 * (saved, words, argument).
 */
	.text

#if defined(__x86_64__)
	.macro	save_and_call name, target
	.globl	\name
	.hidden	\target
	.type	\name, %function
\name:
	.cfi_startproc
#ifdef __CET__
	endbr64
#endif
	pushq	%rbx
	.cfi_adjust_cfa_offset 8
	pushq	%rbp
	.cfi_adjust_cfa_offset 8
	pushq	%r12
	.cfi_adjust_cfa_offset 8
	pushq	%r13
	.cfi_adjust_cfa_offset 8
	pushq	%r14
	.cfi_adjust_cfa_offset 8
	pushq	%r15
	.cfi_adjust_cfa_offset 8
	movq	%rdi, %rdx
	movq	%rsp, %rdi
	movl	$6, %esi
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	call	\target
	addq	$56, %rsp
	.cfi_adjust_cfa_offset -56
	ret
	.cfi_endproc
	.size	\name, . - \name
	.endm
#elif defined(__aarch64__)
	.macro	save_and_call name, target
	.globl	\name
	.hidden	\target
	.type	\name, %function
\name:
	.cfi_startproc
	sub	sp, sp, #96
	.cfi_adjust_cfa_offset 96
	stp	x19, x20, [sp, #0]
	stp	x21, x22, [sp, #16]
	stp	x23, x24, [sp, #32]
	stp	x25, x26, [sp, #48]
	stp	x27, x28, [sp, #64]
	stp	x29, x30, [sp, #80]
	mov	x2, x0
	mov	x0, sp
	mov	x1, #12
	bl	\target
	ldr	x30, [sp, #88]
	add	sp, sp, #96
	.cfi_adjust_cfa_offset -96
	ret
	.cfi_endproc
	.size	\name, . - \name
	.endm
#else
#error "hugespan: say how to save the callee-saved registers of this processor"
#endif

	save_and_call hspan_thread_park, hs_park
	save_and_call hspan_stack_switch, hs_stack_switch

	.section .note.GNU-stack, "", %progbits
