using VoicePlatform.MediaServer.Transport;
using VoicePlatform.MediaServer.Transport.Rtp;
using VoicePlatform.MediaServer.Transport.Sctp;
using VoicePlatform.MediaServer.Transport.Srtp;

namespace VoicePlatform.Tests.MediaServer.Transport;

[TestFixture]
internal sealed class RtpTests : IAudioSink
{
    private readonly List<(ushort Sequence, uint Timestamp, byte[] Frame)> _frames = [];

    [SetUp]
    public void Load() => NativeLibraries.Load();

    [Test]
    public void Padding_and_extensions_of_both_forms_are_understood()
    {
        byte[] oneByte = [0xB0, 0xEF, 0, 7, 0, 0, 0, 9, 1, 2, 3, 4, 0xBE, 0xDE, 0, 2, 0x10, 0x85, 0, 0x41, (byte)'m', (byte)'7', 0, 0, 0xAA, 0xBB, 0, 2];
        Assert.That(RtpPacket.TryRead(oneByte, out var packet), Is.True);
        Assert.That((packet.PayloadType, packet.Marker, packet.Sequence, packet.Timestamp), Is.EqualTo(((byte)111, true, (ushort)7, 9u)));
        Assert.That(packet.Payload.ToArray(), Is.EqualTo(new byte[] { 0xAA, 0xBB }));
        Assert.That(packet.Extension(1).ToArray(), Is.EqualTo(new byte[] { 0x85 }));
        Assert.That(packet.Extension(4).ToArray(), Is.EqualTo("m7"u8.ToArray()));
        Assert.That(packet.Extension(9).IsEmpty, Is.True);

        byte[] twoByte = [0x90, 111, 0, 7, 0, 0, 0, 9, 1, 2, 3, 4, 0x10, 0, 0, 2, 1, 0, 4, 2, (byte)'m', (byte)'7', 0, 0, 0xAA];
        Assert.That(RtpPacket.TryRead(twoByte, out packet), Is.True);
        Assert.That(packet.Extension(4).ToArray(), Is.EqualTo("m7"u8.ToArray()));
        Assert.That(packet.Payload.ToArray(), Is.EqualTo(new byte[] { 0xAA }));
    }

    [Test]
    public void Random_and_mutated_packets_never_read_out_of_bounds()
    {
        var random = new Random(3550);
        var seeds = new[]
        {
            Packets.Red(1, 2, 3, [1, 2, 3], [4, 5], mid: "7"), Packets.Opus(1, 2, 3, [9], mid: "12"), Report(),
            [0x03, 0x81, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, (byte)'_', (byte)'l', (byte)'o', (byte)'s', (byte)'s', (byte)'y'],
        };
        var blocks = new RedBlock[RedPayload.MaxBlocks];
        for (var i = 0; i < 100_000; i++)
        {
            var seed = seeds[random.Next(seeds.Length)];
            var bytes = seed[..random.Next(seed.Length + 1)];
            for (var edits = random.Next(4); edits > 0 && bytes.Length > 0; edits--)
            {
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            }

            _ = RtpPacket.TryReadHeader(bytes, out _);
            if (RtpPacket.TryRead(bytes, out var packet))
            {
                _ = packet.Extension(random.Next(16)).Length;
                var count = RedPayload.Read(packet.Payload, blocks);
                for (var b = 0; b < count; b++)
                {
                    _ = packet.Payload.Slice(blocks[b].Start, blocks[b].Length).Length;
                }

                if (count > 0)
                {
                    RedPayload.Rewrite(packet.Payload.ToArray(), 100);
                }
            }

            ReadOnlySpan<byte> compound = bytes;
            while (RtcpPacket.TryReadNext(ref compound, out var rtcp))
            {
                for (var b = 0; b < rtcp.BlockCount; b++)
                {
                    _ = rtcp.Block(b);
                }
            }

            _ = DataChannelProtocol.TryReadOpen(bytes, out _);
        }
    }

    [Test]
    public void A_data_channel_open_is_read_back_as_written()
    {
        Span<byte> message = stackalloc byte[64];
        var open = new ChannelOpen("_lossy", IsUnordered: true, MaxRetransmits: 0, MaxLifetimeMs: null);
        var length = DataChannelProtocol.WriteOpen(message, open);
        Assert.That(DataChannelProtocol.TryReadOpen(message[..length], out var read), Is.True);
        Assert.That(read, Is.EqualTo(open));
        Assert.That(DataChannelProtocol.TryReadOpen(message[..(length - 1)], out _), Is.False);
    }

    [Test]
    public void Loss_fraction_and_wrap_around_are_counted_as_the_standard_says()
    {
        var statistics = new ReceptionStatistics();
        for (var i = 0; i < 200; i++)
        {
            if (i % 4 != 3)
            {
                statistics.OnPacket((ushort)(65_500 + i), (uint)(i * 960), i * 20);
            }
        }

        var report = statistics.Report(1, 4_000);
        Assert.That(report.Lost, Is.EqualTo(49));       // the last missing one is not known to be lost yet
        Assert.That(report.HighestSequence, Is.EqualTo(0x1_0000u + ((65_500 + 198) & 0xFFFF)));
        Assert.That(report.FractionLost, Is.EqualTo(49 * 256 / 199));
        Assert.That(report.Jitter, Is.Zero);
        Assert.That(statistics.Report(1, 5_000).FractionLost, Is.Zero);
    }

    [Test]
    public void A_stream_goes_on_over_a_change_of_source_and_over_a_thousand_wraps()
    {
        var rewriter = new StreamRewriter(100, 5_000);
        var (sequence, timestamp) = ((ushort)7, 90_000u);
        Assert.That(rewriter.TryRewrite(0, ref sequence, ref timestamp, 1_000, out var isFirst), Is.True);
        Assert.That((sequence, timestamp, isFirst), Is.EqualTo(((ushort)100, 5_000u, true)));

        (sequence, timestamp) = (6, 89_040);
        Assert.That(rewriter.TryRewrite(0, ref sequence, ref timestamp, 1_001, out _), Is.False, "a straggler from before the start");

        (sequence, timestamp) = (40_000, 12);
        Assert.That(rewriter.TryRewrite(1, ref sequence, ref timestamp, 1_100, out isFirst), Is.True);
        Assert.That((sequence, timestamp, isFirst), Is.EqualTo(((ushort)101, 9_800u, true)));

        var now = 1_100L;
        for (var i = 1; i < 200_000; i++)
        {
            (sequence, timestamp) = ((ushort)(40_000 + i), (uint)(12 + (960 * i)));
            Assert.That(rewriter.TryRewrite(1, ref sequence, ref timestamp, now += 20, out _), Is.True);
            Assert.That(sequence, Is.EqualTo((ushort)(101 + i)));
        }
    }

    [Test]
    public void A_sink_gets_every_frame_once_and_in_order_with_lost_ones_recovered_from_red()
    {
        var audio = NewAudio();
        using (audio.AddSink(this))
        {
            Receive(audio, Packets.Red(1, 10, 9_600, [10], [9]));
            Receive(audio, Packets.Red(1, 12, 11_520, [12], [11]));     // 11 was lost
            Receive(audio, Packets.Red(1, 11, 10_560, [11], [10]));     // and comes late
            Receive(audio, Packets.Red(1, 15, 14_400, [15], [14]));     // 13 is beyond help
        }

        Receive(audio, Packets.Red(1, 16, 15_360, [16], [15]));
        Assert.That(_frames.Select(f => (f.Sequence, f.Timestamp, f.Frame[0])), Is.EqualTo(new (ushort, uint, byte)[]
        {
            (10, 9_600, 10), (11, 10_560, 11), (12, 11_520, 12), (14, 13_440, 14), (15, 14_400, 15),
        }));
    }

    [Test]
    public void A_subscriber_without_red_gets_the_newest_frame_as_plain_opus()
    {
        var sent = new List<byte[]>();
        var audio = NewAudio();
        var subscription = Subscribe(audio, new AudioFormat(96, null, 2, 3), sent, out var receiver);
        Receive(audio, Packets.Red(1, 10, 9_600, [10, 11, 12], [9]));
        Assert.That(subscription.Mid, Is.EqualTo("5"));
        var length = receiver.Unprotect(sent[0]);
        Assert.That(RtpPacket.TryRead(sent[0].AsSpan(0, length), out var packet), Is.True);
        Assert.That(packet.PayloadType, Is.EqualTo(96));
        Assert.That(packet.Payload.ToArray(), Is.EqualTo(new byte[] { 10, 11, 12 }));
        Assert.That(packet.Extension(2).ToArray(), Is.EqualTo(new byte[] { 20 }));
        Assert.That(packet.Extension(3).ToArray(), Is.EqualTo("5"u8.ToArray()));
    }

    [Test]
    public void Payload_types_inside_red_are_those_of_the_subscriber()
    {
        var sent = new List<byte[]>();
        var audio = NewAudio();
        Subscribe(audio, new AudioFormat(96, 97, 0, 0), sent, out var receiver);
        Receive(audio, Packets.Red(1, 10, 9_600, [10], [9, 9]));
        var length = receiver.Unprotect(sent[0]);
        Assert.That(RtpPacket.TryRead(sent[0].AsSpan(0, length), out var packet), Is.True);
        Assert.That(packet.PayloadType, Is.EqualTo(97));
        var blocks = new RedBlock[4];
        Assert.That(RedPayload.Read(packet.Payload, blocks), Is.EqualTo(2));
        Assert.That(blocks[..2].Select(b => (b.PayloadType, b.Length)), Is.EqualTo(new[] { ((byte)96, 2), ((byte)96, 1) }));
        Assert.That(blocks[0].TimestampOffset, Is.EqualTo(960));
    }

    [Test]
    public void A_paused_subscription_and_an_injected_source_behave_like_any_other()
    {
        var sent = new List<byte[]>();
        var source = new InjectedAudio("phone", new MediaClock(TimeProvider.System));
        var subscription = Subscribe(source.Track, new AudioFormat(96, 97, 1, 0), sent, out var receiver);
        source.Send([1, 2, 3], 960, 15);
        subscription.Paused = true;
        source.Send([4], 960, 15);
        subscription.Paused = false;
        source.Send([5], 960, 15);
        Assert.That(sent, Has.Count.EqualTo(2));
        Assert.That(source.Track.AudioLevel, Is.EqualTo(15));
        var lengths = sent.Select(s => receiver.Unprotect(s)).ToArray();
        Assert.That(RtpPacket.TryRead(sent[0].AsSpan(0, lengths[0]), out var first) && first.PayloadType == 96, Is.True);
        var expected = (ushort)(first.Sequence + 1);
        Assert.That(RtpPacket.TryRead(sent[1].AsSpan(0, lengths[1]), out var second), Is.True);
        Assert.That(second.Sequence, Is.EqualTo(expected));
    }

    [TestCase(nameof(SrtpProfile.AeadAes128Gcm), 28)]
    [TestCase(nameof(SrtpProfile.Aes128CmSha1), 30)]
    public void Forged_and_replayed_packets_are_refused(string name, int keyLength)
    {
        var profile = Enum.Parse<SrtpProfile>(name);
        var key = new byte[keyLength];
        using var sender = SrtpSession.Create(profile, key, isInbound: false);
        using var receiver = SrtpSession.Create(profile, key, isInbound: true);
        var packet = Packets.Opus(1, 2, 3, [1, 2, 3]);
        var buffer = new byte[packet.Length + SrtpSession.MaxTrailer];
        packet.CopyTo(buffer, 0);
        var length = sender.Protect(buffer, packet.Length);
        var forged = buffer[..length];
        forged[^1] ^= 1;
        Assert.That(receiver.Unprotect(forged), Is.Zero);
        Assert.That(receiver.Unprotect(buffer.AsSpan(0, length).ToArray()), Is.EqualTo(packet.Length));
        Assert.That(receiver.Unprotect(buffer.AsSpan(0, length).ToArray()), Is.Zero, "a replay");
        receiver.Remove(1);
        Assert.That(receiver.Unprotect(buffer.AsSpan(0, length).ToArray()), Is.EqualTo(packet.Length), "the stream was forgotten");
    }

    [Test]
    public void Forwarding_allocates_nothing_per_packet()
    {
        var audio = NewAudio();
        var sent = 0;
        var key = new byte[28];
        for (var i = 0; i < 10; i++)
        {
            var sender = new SrtpSender(_ => sent++) { IsOpen = true };
            sender.Use(SrtpSession.Create(SrtpProfile.AeadAes128Gcm, key, isInbound: false));
            var subscription = new Subscription(audio, "PA", "TR");
            subscription.Assign("0", new OutboundStream(sender, new AudioFormat(96, 97, 1, 4), "0", "PA"));
            audio.Add(subscription);
        }

        using var ingress = SrtpSession.Create(SrtpProfile.AeadAes128Gcm, key, isInbound: false);
        using var egress = SrtpSession.Create(SrtpProfile.AeadAes128Gcm, key, isInbound: true);
        var packets = Enumerable.Range(0, 300).Select(i =>
        {
            var plain = Packets.Red(1, (ushort)i, (uint)(960 * i), new byte[80], new byte[80]);
            var buffer = new byte[plain.Length + SrtpSession.MaxTrailer];
            plain.CopyTo(buffer, 0);
            return buffer[..ingress.Protect(buffer, plain.Length)];
        }).ToArray();
        void Pass(int from, int to)
        {
            for (var i = from; i < to; i++)
            {
                var length = egress.Unprotect(packets[i]);
                if (RtpPacket.TryRead(packets[i].AsSpan(0, length), out var packet))
                {
                    audio.Receive(packet);
                }
            }
        }

        Pass(0, 100);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Pass(100, 300);
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.Zero);
        Assert.That(sent, Is.EqualTo(3_000));
    }

    void IAudioSink.OnFrame(ushort sequence, uint timestamp, ReadOnlySpan<byte> opus) => _frames.Add((sequence, timestamp, opus.ToArray()));

    private static InboundAudio NewAudio() => new("7", new AudioFormat(111, 63, 1, 4), new MediaClock(TimeProvider.System));

    private static Subscription Subscribe(InboundAudio audio, AudioFormat format, List<byte[]> sent, out SrtpSession receiver)
    {
        var key = new byte[28];
        var sender = new SrtpSender(datagram => sent.Add(datagram.ToArray())) { IsOpen = true };
        sender.Use(SrtpSession.Create(SrtpProfile.AeadAes128Gcm, key, isInbound: false));
        receiver = SrtpSession.Create(SrtpProfile.AeadAes128Gcm, key, isInbound: true);
        var subscription = new Subscription(audio, "PA", "TR");
        subscription.Assign("5", new OutboundStream(sender, format, "5", "PA"));
        audio.Add(subscription);
        return subscription;
    }

    private static void Receive(InboundAudio audio, byte[] bytes)
    {
        Assert.That(RtpPacket.TryRead(bytes, out var packet), Is.True);
        audio.Receive(packet);
    }

    private static byte[] Report()
    {
        var buffer = new byte[256];
        var length = RtcpPacket.WriteSenderReport(buffer, 1, 2, 3, 4, 5);
        length += RtcpPacket.WriteCanonicalName(buffer.AsSpan(length), 1, "name");
        length += RtcpPacket.WriteReceiverReport(buffer.AsSpan(length), 1, [new ReportBlock(9, 1, -3, 4, 5, 6, 7)]);
        return buffer[..length];
    }
}
