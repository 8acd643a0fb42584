using System.Numerics;

namespace Nibble.Data.Packing;

/// <summary>The random orders of the Python stack, so that a run sees its rows in the same order.</summary>
internal static class Permutations
{
    /// <summary><c>torch.randperm(n)</c> on the CPU: MT19937 seeded with the low 32 bits, one draw per
    /// position.</summary>
    /// <param name="count">Rows, below the size from which PyTorch draws 64 bits.</param>
    /// <param name="seed">Generator seed; training order uses seed + epoch.</param>
    public static int[] Torch(int count, long seed)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(count, (int)(uint.MaxValue / 20));
        var order = Identity(count);
        var generator = new MersenneTwister((uint)seed);
        for (var i = 0; i < count - 1; i++)
        {
            var other = i + (int)(generator.Next() % (uint)(count - i));
            (order[i], order[other]) = (order[other], order[i]);
        }

        return order;
    }

    /// <summary><c>numpy.random.default_rng(seed).permutation(n)</c>: SeedSequence, PCG64, Fisher-Yates from the
    /// top.</summary>
    /// <param name="count">Rows.</param>
    /// <param name="seed">Not negative.</param>
    public static int[] Numpy(int count, long seed)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(seed);
        var order = Identity(count);
        var generator = new Pcg64((ulong)seed);
        for (var i = count - 1; i > 0; i--)
        {
            var other = (int)generator.Interval((uint)i);
            (order[i], order[other]) = (order[other], order[i]);
        }

        return order;
    }

    private static int[] Identity(int count)
    {
        var order = new int[count];
        for (var i = 0; i < count; i++)
        {
            order[i] = i;
        }

        return order;
    }

    /// <summary>MT19937, 32-bit. Source: Matsumoto and Nishimura 1998.</summary>
    private sealed class MersenneTwister
    {
        private const int Size = 624;
        private const int Shift = 397;
        private readonly uint[] _state = new uint[Size];
        private int _at = Size;

        public MersenneTwister(uint seed)
        {
            _state[0] = seed;
            for (var i = 1; i < Size; i++)
            {
                _state[i] = (1812433253u * (_state[i - 1] ^ (_state[i - 1] >> 30))) + (uint)i;
            }
        }

        public uint Next()
        {
            if (_at == Size)
            {
                Refill();
            }

            var y = _state[_at++];
            y ^= y >> 11;
            y ^= (y << 7) & 0x9d2c5680u;
            y ^= (y << 15) & 0xefc60000u;
            return y ^ (y >> 18);
        }

        private void Refill()
        {
            for (var i = 0; i < Size; i++)
            {
                var y = (_state[i] & 0x80000000u) | (_state[(i + 1) % Size] & 0x7fffffffu);
                _state[i] = _state[(i + Shift) % Size] ^ (y >> 1) ^ ((y & 1) != 0 ? 0x9908b0dfu : 0u);
            }

            _at = 0;
        }
    }

    /// <summary>PCG64 (XSL-RR 128/64) behind numpy's SeedSequence. Source: O'Neill 2014;
    /// <c>numpy/random/bit_generator.pyx</c>.</summary>
    private sealed class Pcg64
    {
        private static readonly UInt128 Multiplier = new(0x2360ED051FC65DA4, 0x4385DF649FCCF645);
        private readonly UInt128 _increment;
        private UInt128 _state;
        private uint? _half;

        public Pcg64(ulong seed)
        {
            Span<ulong> words = stackalloc ulong[4];
            Spread(seed, words);
            _increment = (new UInt128(words[2], words[3]) << 1) | 1;
            Step();
            _state += new UInt128(words[0], words[1]);
            Step();
        }

        public uint Interval(uint highest)
        {
            var mask = highest == 0 ? 0 : uint.MaxValue >> BitOperations.LeadingZeroCount(highest);
            uint value;
            do
            {
                value = Next() & mask;
            }
            while (value > highest);

            return value;
        }

        private uint Next()
        {
            if (_half is { } kept)
            {
                _half = null;
                return kept;
            }

            Step();
            var folded = (ulong)(_state >> 64) ^ (ulong)_state;
            var value = BitOperations.RotateRight(folded, (int)(_state >> 122));
            _half = (uint)(value >> 32);
            return (uint)value;
        }

        private void Step() => _state = (_state * Multiplier) + _increment;

        private static void Spread(ulong seed, Span<ulong> words)
        {
            var hash = 0x43b0d7e5u;
            uint Mix(uint value)
            {
                value ^= hash;
                hash *= 0x931e8875u;
                value *= hash;
                return value ^ (value >> 16);
            }

            Span<uint> pool = [(uint)seed, (uint)(seed >> 32), 0, 0];
            for (var i = 0; i < 4; i++)
            {
                pool[i] = Mix(pool[i]);
            }

            for (var source = 0; source < 4; source++)
            {
                for (var target = 0; target < 4; target++)
                {
                    if (source != target)
                    {
                        var mixed = (0xca01f9ddu * pool[target]) - (0x4973f715u * Mix(pool[source]));
                        pool[target] = mixed ^ (mixed >> 16);
                    }
                }
            }

            hash = 0x8b51f9dd;
            Span<uint> output = stackalloc uint[8];
            for (var i = 0; i < 8; i++)
            {
                var value = pool[i % 4] ^ hash;
                hash *= 0x58f38dedu;
                value *= hash;
                output[i] = value ^ (value >> 16);
            }

            for (var i = 0; i < 4; i++)
            {
                words[i] = output[2 * i] | ((ulong)output[(2 * i) + 1] << 32);
            }
        }
    }
}
