# SPDX-License-Identifier: MIT
"""Random commands over all that hspan-cached supports, errors included."""
import time

KEYS = [b"k%d" % i for i in range(36)] + [b"", b"with space", b"bin\r\n\0\xff"]
FIELDS = [b"f%d" % i for i in range(24)] + [b"", b"x\0y"]
# No small positive numbers: as an expiry they would come true meanwhile.
JUNK = [b"", b"abc", b"-1", b"0", b"1.5", b" 7", b"7 ", b"+7", b"007", b"-0", b"1e3",
        b"9223372036854775807", b"9223372036854775808", b"-9223372036854775807",
        b"99999999999999999999999", b"inf", b"nan", b"0x10", b"NX", b"XX", b"GET", b"KEEPTTL",
        b"EX", b"\r\n", b"\0"]
GLOBS = [b"*", b"k?", b"k1*", b"k[0-4]", b"k[^0-4]", b"*1", b"k\\1", b"[a-l]*", b"k[3-1]*",
         b"nothing*", b"*\xff", b"k[12]3", b"*k*3*", b"w*e"]


class Commands:
    def __init__(self, rng):
        self.rng = rng
        self.table = self.build()

    # pieces

    def key(self):
        return self.rng.choice(KEYS)

    def keys(self):
        return [self.key() for _ in range(self.rng.randint(1, 4))]

    def field(self):
        return self.rng.choice(FIELDS)

    def fields(self):
        return [self.field() for _ in range(self.rng.randint(1, 5))]

    def value(self):
        r = self.rng
        kind = r.random()
        if kind < 0.35:
            return b"%d" % r.randint(-1000, 1000)
        if kind < 0.45:
            return (b"%.3f" % r.uniform(-99, 99)).rstrip(b"0")
        if kind < 0.5:
            return r.choice(JUNK)
        if kind < 0.6:
            return r.randbytes(r.randint(0, 40))
        if kind < 0.63:
            return r.randbytes(r.randint(100, 5000))
        return self.field()

    def values(self):
        return [self.value() for _ in range(self.rng.randint(1, 5))]

    def pairs(self, first):
        out = []
        for _ in range(self.rng.randint(1, 4)):
            out += [first(), self.value()]
        return out

    def index(self):
        return b"%d" % self.rng.randint(-12, 12)

    def integer(self):
        r = self.rng
        return r.choice([b"%d" % r.randint(-100, 100), b"%d" % r.randint(-2**63, 2**63 - 1),
                         b"1", b"-1"])

    def decimal(self):
        r = self.rng
        return r.choice([b"%.2f" % r.uniform(-50, 50), b"1e2", b"-3", b"0.1", b"5.0e3", b"3.125"])

    def count(self):
        return b"%d" % self.rng.choice([0, 1, 2, 3, 5, 50, -1, -3])

    def seconds(self):
        return b"%d" % self.rng.choice([0, -5, 1000, 5000, 100000, self.rng.randint(1000, 9999)])

    def millis(self):
        return b"%d" % self.rng.choice([0, -5, 1000000, 2500499, self.rng.randint(10**6, 10**7)])

    def at_seconds(self):
        return b"%d" % self.rng.choice([0, 1, int(time.time()) + self.rng.randint(1000, 9999)])

    def at_millis(self):
        return b"%d" % self.rng.choice([1, int(time.time() * 1000) + self.rng.randint(10**6, 10**7)])

    def later_seconds(self):
        return b"%d" % (int(time.time()) + self.rng.randint(1000, 9999))

    def later_millis(self):
        return self.later_seconds() + b"250"

    def end(self):
        return self.rng.choice([b"LEFT", b"RIGHT", b"left", b"Right"])

    def some(self, *options):
        """Each option, a list, with some chance."""
        return [x for o in options if self.rng.random() < 0.25 for x in o]

    # SET and GETEX may leave an expired key, which DBSIZE counts until a tick
    def set_options(self):
        return self.some([b"NX"], [b"XX"], [b"GET"], [b"KEEPTTL"]) + \
            self.some([b"EX", self.seconds()], [b"PX", self.millis()],
                      [b"EXAT", self.later_seconds()], [b"pxat", self.later_millis()])[:2]

    def expire_options(self):
        return self.some([b"NX"], [b"XX"], [b"GT"], [b"LT"]) if self.rng.random() < 0.4 else []

    def scan_options(self):
        return self.some([b"COUNT", b"%d" % self.rng.choice([1, 2, 10, 1000, 0, -1])],
                         [b"MATCH", self.rng.choice(GLOBS)])

    def build(self):
        """(weight, name, arguments) for each command."""
        k, f, v, i = self.key, self.field, self.value, self.index
        t = []

        def add(weight, names, *parts):
            for name in names.split():
                t.append((weight, name.encode(), parts))

        add(6, "SET", k, v, self.set_options)
        add(4, "GET STRLEN GETDEL INCR DECR", k)
        add(2, "SETNX GETSET APPEND", k, v)
        add(2, "SETEX", k, self.seconds, v)
        add(2, "PSETEX", k, self.millis, v)
        add(2, "GETEX", k, lambda: self.some([b"PERSIST"], [b"EX", self.seconds()],
                                             [b"PXAT", self.later_millis()])[:2])
        add(3, "INCRBY DECRBY", k, self.integer)
        add(3, "INCRBYFLOAT", k, self.decimal)
        add(3, "MGET", self.keys)
        add(2, "MSET MSETNX", lambda: self.pairs(k))
        add(2, "GETRANGE SUBSTR", k, i, i)
        add(2, "SETRANGE", k, lambda: b"%d" % self.rng.randint(-1, 300), v)
        add(3, "EXPIRE", k, self.seconds, self.expire_options)
        add(3, "PEXPIRE", k, self.millis, self.expire_options)
        add(2, "EXPIREAT", k, self.at_seconds, self.expire_options)
        add(2, "PEXPIREAT", k, self.at_millis, self.expire_options)
        add(3, "TTL PTTL PERSIST EXPIRETIME PEXPIRETIME", k)
        add(4, "DEL UNLINK", self.keys)
        add(2, "EXISTS TOUCH", self.keys)
        add(3, "TYPE", k)
        add(2, "RENAME RENAMENX", k, k)
        add(2, "COPY", k, k, lambda: self.some([b"REPLACE"], [b"DB", b"0"]))
        add(1, "KEYS", lambda: self.rng.choice(GLOBS))
        add(1, "RANDOMKEY DBSIZE TIME PING")
        add(1, "PING ECHO", v)
        add(2, "SCAN", lambda: b"0", self.scan_options,
            lambda: self.some([b"TYPE", self.rng.choice([b"hash", b"string", b"list", b"SET",
                                                         b"zset"])]))
        add(6, "HSET", k, lambda: self.pairs(f))
        add(2, "HMSET", k, lambda: self.pairs(f))
        add(3, "HGET HEXISTS HSTRLEN", k, f)
        add(3, "HMGET HDEL", k, self.fields)
        add(2, "HGETALL HKEYS HVALS HLEN", k)
        add(2, "HSETNX", k, f, v)
        add(3, "HINCRBY", k, f, self.integer)
        add(2, "HINCRBYFLOAT", k, f, self.decimal)
        add(2, "HSCAN SSCAN", k, lambda: b"0", self.scan_options)
        add(6, "LPUSH RPUSH", k, self.values)
        add(2, "LPUSHX RPUSHX", k, self.values)
        add(2, "LPOP RPOP", k)
        add(2, "LPOP RPOP", k, self.count)
        add(3, "LLEN", k)
        add(3, "LRANGE", k, i, i)
        add(1, "LTRIM", k, i, i)
        add(2, "LINDEX", k, i)
        add(2, "LSET", k, i, v)
        add(2, "LREM", k, i, v)
        add(2, "LINSERT", k, lambda: self.rng.choice([b"BEFORE", b"after", b"x"]), f, v)
        add(2, "RPOPLPUSH", k, k)
        add(2, "LMOVE", k, k, self.end, self.end)
        add(8, "SADD", k, self.fields)
        add(3, "SREM SMISMEMBER", k, self.fields)
        add(2, "SISMEMBER", k, f)
        add(2, "SMEMBERS SCARD", k)
        add(1, "SPOP SRANDMEMBER", k)
        add(2, "SPOP SRANDMEMBER", k, self.count)
        add(2, "SMOVE", k, k, f)
        add(2, "SINTER SUNION SDIFF", self.keys)
        add(2, "SINTERSTORE SUNIONSTORE SDIFFSTORE", k, self.keys)
        add(0.5, "SELECT", lambda: self.rng.choice([b"0", b"99", b"abc"]))
        add(0.5, "CLIENT", lambda: b"SETNAME", lambda: self.rng.choice([b"bob", b"a b", b""]))
        add(0.5, "CLIENT", lambda: self.rng.choice([b"GETNAME", b"nothing"]))
        add(0.5, "CONFIG", lambda: b"GET", lambda: self.rng.choice([b"save", b"appendonly", b"?"]))
        add(0.5, "NOSUCH", self.values)
        add(0.1, "FLUSHALL FLUSHDB", lambda: self.some([b"ASYNC"], [b"sync"], [b"x"]))
        return t

    def plain(self):
        """One command as it should be."""
        _, name, parts = self.rng.choices(self.table, self.weights)[0]
        args = [name if self.rng.random() < 0.9 else name.lower()]
        for part in parts:
            got = part()
            args += got if isinstance(got, list) else [got]
        return args

    @property
    def weights(self):
        if not hasattr(self, "_weights"):
            self._weights = [t[0] for t in self.table]
        return self._weights

    def next(self):
        """One command, now and then with an argument lost, added or spoilt."""
        args = self.plain()
        damage = self.rng.random()
        if damage < 0.02 and len(args) > 1:
            args.pop(self.rng.randrange(1, len(args)))
        elif damage < 0.03:
            args.append(self.rng.choice(JUNK))
        elif damage < 0.06 and len(args) > 1:
            args[self.rng.randrange(1, len(args))] = self.rng.choice(JUNK)
        if args[0].upper() == b"SRANDMEMBER" and len(args) > 2 and len(args[2]) > 9:
            args[2] = b"-7"      # billions of members would be the right answer
        return args
