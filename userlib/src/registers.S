/* SPDX-License-Identifier: MIT */
/*
 * hspan_thread_park(): save what the caller's registers hold before any
 * compiled code can move it, then go on in hs_park(saved, words).
 */
	.text
	.globl	hspan_thread_park
	.hidden	hs_park
	.type	hspan_thread_park, %function
hspan_thread_park:
#if defined(__x86_64__)
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
	movq	%rsp, %rdi
	movl	$6, %esi
	subq	$8, %rsp
	.cfi_adjust_cfa_offset 8
	call	hs_park
	addq	$56, %rsp
	.cfi_adjust_cfa_offset -56
	ret
	.cfi_endproc
#elif defined(__aarch64__)
	.cfi_startproc
	sub	sp, sp, #96
	.cfi_adjust_cfa_offset 96
	stp	x19, x20, [sp, #0]
	stp	x21, x22, [sp, #16]
	stp	x23, x24, [sp, #32]
	stp	x25, x26, [sp, #48]
	stp	x27, x28, [sp, #64]
	stp	x29, x30, [sp, #80]
	mov	x0, sp
	mov	x1, #12
	bl	hs_park
	ldr	x30, [sp, #88]
	add	sp, sp, #96
	.cfi_adjust_cfa_offset -96
	ret
	.cfi_endproc
#else
#error "hugespan: say how to save the callee-saved registers of this processor"
#endif
	.size	hspan_thread_park, . - hspan_thread_park
	.section .note.GNU-stack, "", %progbits
