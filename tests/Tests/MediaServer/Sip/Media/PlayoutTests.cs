using VoicePlatform.MediaServer.Sip.Media;
using VoicePlatform.MediaServer.Sip.Media.Codecs;
using VoicePlatform.MediaServer.Sip.Media.Playout;

namespace VoicePlatform.Tests.MediaServer.Sip.Media;

/// <summary>The playout buffer in a time of the test's own: packets come when the test says, sound is taken every 20 ms.</summary>
internal sealed class PlayoutTests
{
    private const double Hertz = 400;

    [TestCase(PhoneCodec.Pcmu)]
    [TestCase(PhoneCodec.G722)]
    [TestCase(PhoneCodec.Opus)]
    public void An_even_stream_is_played_unchanged_after_40_ms(PhoneCodec codec)
    {
        using var line = new Line(codec);
        line.Run(seconds: 5);
        Assert.That(line.Buffer.Concealed, Is.EqualTo(TimeSpan.Zero));
        Assert.That(line.Buffer.Buffered.TotalMilliseconds, Is.InRange(20, 60));
        Assert.That(Sound.Share(line.Heard(from: 0.5), Hertz, codec.Rate()), Is.GreaterThan(0.99));
        Assert.That(Sound.Gaps(line.Heard(from: 0.5), codec.Rate()), Is.Zero);
    }

    [TestCase(10)]
    [TestCase(30)]
    [TestCase(60)]
    public void Any_packet_length_is_played_without_gaps(int packetMs)
    {
        using var line = new Line(PhoneCodec.Pcmu, packetMs);
        line.Run(seconds: 10);
        Assert.That(Sound.Gaps(line.Heard(from: 0.5), 8_000), Is.Zero);
        Assert.That(Sound.Share(line.Heard(from: 6), Hertz, 8_000), Is.GreaterThan(0.9));
        Assert.That(line.Buffer.Late, Is.Zero);
    }

    [TestCase(40, 130)]
    [TestCase(100, 220)]
    public void Jitter_is_learnt_and_then_costs_delay_instead_of_sound(int jitterMs, int mostMs)
    {
        using var line = new Line(PhoneCodec.Pcmu) { Jitter = random => random.Next(jitterMs) };
        line.Run(seconds: 10);
        var learnt = line.Buffer.Concealed;
        line.Run(seconds: 20);
        Assert.That(learnt.TotalMilliseconds, Is.LessThan(3 * jitterMs));
        Assert.That((line.Buffer.Concealed - learnt).TotalMilliseconds, Is.LessThanOrEqualTo(40));
        Assert.That(line.Buffer.Buffered.TotalMilliseconds, Is.LessThan(mostMs));
        Assert.That(Sound.Gaps(line.Heard(from: 10), 8_000), Is.Zero);
    }

    [Test]
    public void The_delay_goes_back_when_the_network_is_calm_again()
    {
        using var line = new Line(PhoneCodec.Pcmu) { Jitter = random => random.Next(120) };
        line.Run(seconds: 10);
        var rough = line.Buffer.Buffered.TotalMilliseconds;
        line.Jitter = _ => 0;
        line.Run(seconds: 20);
        Assert.That(rough, Is.GreaterThan(60));
        Assert.That(line.Buffer.Buffered.TotalMilliseconds, Is.LessThan(60));
        Assert.That(Sound.Gaps(line.Heard(from: 12), 8_000), Is.Zero);
    }

    [Test]
    public void Packets_out_of_order_are_put_in_order()
    {
        // Every fourth packet comes 35 ms late, after the one behind it.
        var count = 0;
        using var line = new Line(PhoneCodec.Pcmu) { Jitter = _ => count++ % 4 == 3 ? 35 : 0 };
        line.Run(seconds: 5);
        var (late, concealed) = (line.Buffer.Late, line.Buffer.Concealed);
        line.Run(seconds: 10);
        Assert.That(line.Buffer.Late - late, Is.LessThanOrEqualTo(1));
        Assert.That((line.Buffer.Concealed - concealed).TotalMilliseconds, Is.LessThanOrEqualTo(20));
        Assert.That(Sound.Share(line.Heard(from: 12), Hertz, 8_000), Is.GreaterThan(0.95));
    }

    [TestCase(PhoneCodec.Pcmu, 0.05)]
    [TestCase(PhoneCodec.G722, 0.05)]
    [TestCase(PhoneCodec.Opus, 0.05)]
    [TestCase(PhoneCodec.Pcmu, 0.2)]
    public void Loss_is_concealed_and_makes_no_delay(PhoneCodec codec, double share)
    {
        using var line = new Line(codec) { IsLost = random => random.NextDouble() < share };
        line.Run(seconds: 20);
        var rate = codec.Rate();
        Assert.That(Sound.Gaps(line.Heard(from: 1), rate, floor: 500), Is.LessThan(share > 0.1 ? 20 : 2));
        Assert.That(line.Buffer.Buffered.TotalMilliseconds, Is.LessThan(80));
        Assert.That(line.Buffer.Concealed.TotalMilliseconds, Is.InRange(20_000 * share * 0.7, 20_000 * share * 1.6));
        Assert.That(Sound.Share(line.Heard(from: 19), Hertz, rate), Is.GreaterThan(0.5));
    }

    [TestCase(1.001)]
    [TestCase(0.999)]
    public void A_clock_that_drifts_at_the_other_end_makes_neither_gaps_nor_delay(double speed)
    {
        using var line = new Line(PhoneCodec.Pcmu) { Speed = speed };
        line.Run(seconds: 120);
        Assert.That(line.Buffer.Concealed.TotalMilliseconds, Is.LessThanOrEqualTo(20));
        Assert.That(line.Buffer.Buffered.TotalMilliseconds, Is.InRange(20, 70));
        Assert.That(line.Buffer.Late, Is.Zero);
        Assert.That(Sound.Gaps(line.Heard(from: 1), 8_000), Is.Zero);

        // 120 ms of drift were made up for by leaving out or putting in whole periods: no click, the tone stays whole.
        var second = line.Heard(from: 100);
        Assert.That(Sound.Share(second[..8_000], Hertz, 8_000), Is.GreaterThan(0.95));
    }

    [Test]
    public void Silence_that_is_not_sent_is_silence_and_speech_after_it_is_heard_from_its_first_packet()
    {
        using var line = new Line(PhoneCodec.Pcmu);
        line.Run(seconds: 1);
        line.IsSilent = true;
        line.Run(seconds: 1);
        line.IsSilent = false;
        line.Run(seconds: 1);
        Assert.That(Sound.Power(line.Heard(from: 1.3)[..4_000]), Is.Zero);
        var heard = line.Heard(from: 2).ToArray();
        var begin = Array.FindIndex(heard, s => s != 0);
        Assert.That(begin / 8, Is.InRange(0, 61));
        Assert.That(Sound.Gaps(heard.AsSpan(begin + 160), 8_000), Is.Zero);
    }

    [Test]
    public void Comfort_noise_is_heard_at_its_level_until_speech_comes()
    {
        using var line = new Line(PhoneCodec.Pcmu);
        line.Run(seconds: 1);
        line.IsSilent = true;
        line.Noise(level: 50);
        line.Run(seconds: 2);
        var noise = line.Heard(from: 1.5)[..8_000];
        Assert.That(10 * Math.Log10(Sound.Power(noise) / (32_768.0 * 32_768)), Is.EqualTo(-50).Within(1.5));
        Assert.That(line.Buffer.Concealed, Is.EqualTo(TimeSpan.Zero));
        line.IsSilent = false;
        line.Run(seconds: 1);
        Assert.That(Sound.Share(line.Heard(from: 3.2), Hertz, 8_000), Is.GreaterThan(0.98));
    }

    [Test]
    public void A_stop_of_the_network_ends_in_silence_and_what_comes_at_once_afterwards_is_caught_up_with()
    {
        using var line = new Line(PhoneCodec.Pcmu);
        line.Run(seconds: 2);
        line.HoldBack(ms: 400);
        line.Run(seconds: 8);
        Assert.That(Sound.Gaps(line.Heard(from: 2.2)[..1_600], 8_000), Is.GreaterThan(7), "nothing can be heard while nothing comes");
        Assert.That(Sound.Gaps(line.Heard(from: 3), 8_000), Is.Zero);
        Assert.That(line.Buffer.Buffered.TotalMilliseconds, Is.LessThan(120));
    }

    [Test]
    public void A_sender_that_begins_anew_is_followed()
    {
        using var line = new Line(PhoneCodec.Pcmu);
        line.Run(seconds: 2);
        line.Jump(sequence: 40_000, timestamp: 0x8000_0000);
        line.Run(seconds: 2);
        line.Jump(sequence: 5, timestamp: 12);
        line.Run(seconds: 2);
        Assert.That(Sound.Gaps(line.Heard(from: 2.5)[..8_000], 8_000), Is.Zero);
        Assert.That(Sound.Gaps(line.Heard(from: 4.5), 8_000), Is.Zero);
    }

    [Test]
    public void Nothing_that_comes_breaks_it_or_makes_it_grow()
    {
        using var decoders = new PhoneDecoders();
        var buffer = new PlayoutBuffer(decoders);
        var random = new Random(9);
        var pcm = new short[PlayoutBuffer.MaxTick];
        uint timestamp = 0;
        for (var i = 0; i < 40_000; i++)
        {
            if (random.Next(3) > 0)
            {
                var payload = new byte[random.Next(random.Next(20) == 0 ? 1_600 : 200)];
                random.NextBytes(payload);
                timestamp = random.Next(50) == 0 ? (uint)random.NextInt64(uint.MaxValue) : timestamp + (uint)random.Next(-500, 1_000);
                buffer.Insert(random.Next(10) == 0 ? PlayoutBuffer.Noise : (byte)random.Next(4), (ushort)random.Next(65_536), timestamp, payload, i * 20_000_000L);
            }

            if (random.Next(200) == 0)
            {
                buffer.Restart();
            }

            Assert.That(buffer.Pull(pcm, i * 20_000_000L, out _), Is.EqualTo(buffer.Rate / 50));
        }
    }

    [Test]
    public void A_turn_allocates_nothing()
    {
        using var line = new Line(PhoneCodec.Pcmu) { Jitter = random => random.Next(50), IsLost = random => random.Next(20) == 0, KeepsSound = false };
        line.Run(seconds: 5);
        var before = line.Allocated;
        line.Run(seconds: 30);
        Assert.That(line.Allocated - before, Is.Zero);
    }

    private sealed class Line : IDisposable
    {
        private readonly PhoneDecoders _decoders = new();
        private readonly IVoiceEncoder _encoder;
        private readonly PhoneCodec _codec;
        private readonly int _packetMs;
        private readonly Random _random = new(1);
        private readonly PriorityQueue<(byte Kind, ushort Sequence, uint Timestamp, byte[] Payload), double> _network = new();
        private readonly List<short> _heard = [];
        private readonly short[] _pcm = new short[PlayoutBuffer.MaxTick];
        private double _now;
        private long _before;
        private double _nextSend;
        private double _held;
        private long _sent;
        private ushort _sequence = 65_000;
        private uint _timestamp = uint.MaxValue - 30_000;

        public Line(PhoneCodec codec, int packetMs = 20)
        {
            (_codec, _packetMs, _encoder) = (codec, packetMs, CodecTests.Encoder(codec));
            Buffer = new PlayoutBuffer(_decoders);
        }

        public PlayoutBuffer Buffer { get; }

        public long Allocated { get; private set; }

        public Func<Random, double> Jitter { get; set; } = _ => 0;

        public Func<Random, bool> IsLost { get; set; } = _ => false;

        public double Speed { get; set; } = 1;

        public bool IsSilent { get; set; }

        public bool KeepsSound { get; init; } = true;

        public void Run(double seconds)
        {
            var until = _now + (seconds * 1_000);
            for (; _now < until - 1e-6; _now += 20)
            {
                while (_nextSend <= _now + 10)
                {
                    Send();
                }

                while (_network.TryPeek(out var packet, out var at) && at <= _now + 10)
                {
                    _network.Dequeue();
                    _before = GC.GetAllocatedBytesForCurrentThread();
                    Buffer.Insert(packet.Kind, packet.Sequence, packet.Timestamp, packet.Payload, (long)((at - 10) * 1e6));
                    Allocated += GC.GetAllocatedBytesForCurrentThread() - _before;
                }

                _before = GC.GetAllocatedBytesForCurrentThread();
                var samples = Buffer.Pull(_pcm, (long)(_now * 1e6), out _);
                Allocated += GC.GetAllocatedBytesForCurrentThread() - _before;
                if (KeepsSound)
                {
                    _heard.AddRange(_pcm.AsSpan(0, samples));
                }
            }
        }

        public ReadOnlySpan<short> Heard(double from) => _heard.ToArray().AsSpan((int)(from * _codec.Rate()));

        public void Noise(byte level) => Buffer.Insert(PlayoutBuffer.Noise, _sequence++, _timestamp, [level], (long)(_now * 1e6));

        public void HoldBack(double ms) => _held = _now + ms;

        public void Jump(ushort sequence, uint timestamp) => (_sequence, _timestamp) = (sequence, timestamp);

        public void Dispose()
        {
            _encoder.Dispose();
            _decoders.Dispose();
        }

        private void Send()
        {
            var samples = _codec.Rate() * _packetMs / 1_000;
            if (!IsSilent)
            {
                var payload = new byte[1_275];
                var length = _encoder.Encode(Sound.Tone(Hertz, _codec.Rate(), samples, _sent), payload);
                if (!IsLost(_random))
                {
                    _network.Enqueue(((byte)_codec, _sequence, _timestamp, payload[..length]), Math.Max(_held, _nextSend + Jitter(_random)));
                }

                _sequence++;
            }

            _sent += samples;
            _timestamp += (uint)(_codec.Clock() * _packetMs / 1_000);
            _nextSend += _packetMs / Speed;
        }
    }
}
