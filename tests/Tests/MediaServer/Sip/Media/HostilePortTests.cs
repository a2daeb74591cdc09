using System.Net;
using System.Net.Sockets;
using VoicePlatform.MediaServer.Sip.Media;
using VoicePlatform.MediaServer.Transport.Rtp;

namespace VoicePlatform.Tests.MediaServer.Sip.Media;

/// <summary>Whatever arrives at the ports, the calls go on. Alone, since sound is listened to.</summary>
[Category("Alone")]
internal sealed class HostilePortTests
{
    [TestCase(MediaEncryption.Disable)]
    [TestCase(MediaEncryption.Require)]
    public async Task Rubbish_from_strangers_and_from_the_phone_itself_takes_nothing_down(MediaEncryption encryption)
    {
        await using var media = PhoneParty.Start();
        var options = new PhoneSessionOptions { Codecs = [PhoneCodec.Pcmu], Encryption = encryption };
        using var alice = new PhoneParty(media, options);
        using var bob = new PhoneParty(media, options);
        using var mallory = new RawPhone();
        using var victim = new PhoneParty(media, PhoneParty.With(PhoneCodec.Opus, PhoneCodec.G722, PhoneCodec.Pcmu));
        var room = new OpusRecorder();
        victim.Session.Connect(room);
        victim.Session.CreateAnswer(mallory.Offer("0 9 96 101", "a=rtpmap:96 opus/48000/2", "a=rtpmap:101 telephone-event/8000"));
        alice.Call(bob);
        alice.Say(600, 10);
        await bob.HearAsync(0.3);

        var random = new Random(6);
        for (var i = 0; i < 20_000; i++)
        {
            var bytes = Seed(random);
            for (var edits = random.Next(6); edits > 0; edits--)
            {
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            }

            var target = random.Next(3) switch { 0 => alice.Session.Port, 1 => bob.Session.Port, _ => victim.Session.Port };
            mallory.Send(bytes.AsSpan(0, random.Next(bytes.Length + 1)), target + (random.Next(4) == 0 ? 1 : 0));
        }

        await bob.HearAsync(0.3);
        var heard = await bob.HearAsync(0.5);
        Assert.That(Sound.Share(heard, 600, 8_000), Is.GreaterThan(0.95));
        Assert.That(media.Faults, Is.Zero);
        Assert.That(bob.Session.Statistics.Strangers + bob.Session.Statistics.Refused, Is.GreaterThan(100));
        Assert.That(victim.Session.Statistics.PacketsReceived, Is.GreaterThan(10), "its own phone's rubbish was taken for sound");
    }

    [Test]
    public async Task Packets_go_back_to_where_they_come_from_and_the_report_says_what_was_lost()
    {
        await using var media = PhoneParty.Start();
        using var leg = new PhoneParty(media, PhoneParty.With(PhoneCodec.Pcmu));
        using var declared = new RawPhone();
        using var phone = new RawPhone();       // behind a NAT: another port than the SDP says
        leg.Session.CreateAnswer(declared.Offer("0"));
        await SpeakAsync(phone, leg, 0, 60, lostEvery: 10);
        Assert.That(phone.Drain(), Is.GreaterThan(20), "sound comes to the phone");
        declared.Drain();
        await leg.HearAsync(0.2);
        Assert.That(declared.Drain(), Is.Zero, "and no longer to the address in the SDP");
        Assert.That(leg.Session.Statistics.Lost, Is.EqualTo(5).Within(1));
        Assert.That(leg.Session.Statistics.Concealed.TotalMilliseconds, Is.GreaterThan(60));
    }

    [TestCase(MediaEncryption.Disable, 1)]
    [TestCase(MediaEncryption.Allow, 0)]
    public async Task What_comes_before_the_answer_is_heard_unless_it_may_be_encrypted(MediaEncryption encryption, int beginnings)
    {
        await using var media = PhoneParty.Start();
        using var leg = new PhoneParty(media, PhoneParty.With(PhoneCodec.Pcmu) with { Encryption = encryption });
        using var phone = new RawPhone();
        using var declared = new RawPhone();
        leg.Session.CreateOffer();
        await SpeakAsync(phone, leg, 0, 25);
        Assert.That(leg.Beginnings, Is.EqualTo(beginnings));
        Assert.That(leg.Session.Statistics.PacketsSent, Is.Zero, "nobody knows where to");

        leg.Session.AcceptAnswer(declared.Offer("0"), isEarly: true);
        await SpeakAsync(phone, leg, 25, 25);
        Assert.That(leg.Beginnings, Is.EqualTo(1));
        Assert.That(phone.Drain(), Is.GreaterThan(10));
    }

    [TestCase(10, 80)]
    [TestCase(40, 320)]
    [TestCase(60, 480)]
    public async Task Packets_are_as_long_as_the_phone_wants_them(int ptime, int bytes)
    {
        await using var media = PhoneParty.Start();
        using var leg = new PhoneParty(media, PhoneParty.With(PhoneCodec.Pcmu));
        using var phone = new RawPhone();
        leg.Session.CreateAnswer(phone.Offer("0", $"a=ptime:{ptime}"));
        var packets = new List<(ushort Sequence, uint Timestamp, int Length)>();
        Assert.That(await PhoneParty.EventuallyAsync(() => phone.Receive(packets) >= 20), Is.True);
        Assert.That(packets.Select(p => p.Length), Is.All.EqualTo(bytes));
        Assert.That(packets.Zip(packets.Skip(1)).All(p => p.Second.Sequence == (ushort)(p.First.Sequence + 1) && p.Second.Timestamp == p.First.Timestamp + bytes), Is.True);
    }

    [Test]
    public async Task Keys_are_pressed_as_tones_for_a_phone_that_takes_no_events()
    {
        await using var media = PhoneParty.Start();
        using var leg = new PhoneParty(media, PhoneParty.With(PhoneCodec.Pcmu));
        using var phone = new RawPhone();
        leg.Session.CreateAnswer(phone.Offer("0"));
        await leg.HearAsync(0.1);
        phone.Drain();
        await leg.Session.SendDtmfAsync("5", CancellationToken.None);
        await leg.HearAsync(0.1);
        var pcm = phone.Sound();
        var loud = pcm.SkipWhile(s => Math.Abs((int)s) < 500).Take(700).ToArray();
        Assert.That(Media.Sound.Share(loud, 770, 8_000), Is.GreaterThan(0.4));
        Assert.That(Media.Sound.Share(loud, 1_336, 8_000), Is.GreaterThan(0.4));
    }

    private static async Task SpeakAsync(RawPhone phone, PhoneParty leg, int first, int count, int lostEvery = int.MaxValue)
    {
        for (var i = first; i < first + count; i++)
        {
            if (i % lostEvery != lostEvery - 1)
            {
                phone.SendAudio(leg.Session.Port, (ushort)i, (uint)(i * 160));
            }

            await leg.HearAsync(0.02);
        }
    }

    private static byte[] Seed(Random random)
    {
        var bytes = new byte[random.Next(12, 300)];
        random.NextBytes(bytes);
        switch (random.Next(4))
        {
            case 0:
                RtpPacket.WriteHeader(bytes, (byte)(random.Next(5) switch { 0 => 9, 1 => 96, 2 => 101, 3 => 13, _ => 0 }), false, (ushort)random.Next(65_536), (uint)random.Next(), 7, 0, 0, 0, default);
                break;
            case 1:
                (bytes[0], bytes[1]) = (0x81, (byte)random.Next(200, 204));
                break;
            case 2:
                bytes[0] = 0x80;
                bytes[1] = 101;
                break;
            default:
                break;
        }

        return bytes;
    }

    /// <summary>A phone made of one socket.</summary>
    private sealed class RawPhone : IDisposable
    {
        private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        private readonly byte[] _buffer = new byte[2_048];

        public RawPhone()
        {
            _socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
            _socket.ReceiveTimeout = 1;
        }

        public string Offer(string types, params string[] lines) =>
            $"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {((IPEndPoint)_socket.LocalEndPoint!).Port} RTP/AVP {types}\r\n{string.Join("\r\n", lines)}\r\n";

        public void Send(ReadOnlySpan<byte> bytes, int port) => _socket.SendTo(bytes, new IPEndPoint(IPAddress.Loopback, port));

        public void SendAudio(int port, ushort sequence, uint timestamp)
        {
            var packet = new byte[172];
            RtpPacket.WriteHeader(packet, 0, sequence == 0, sequence, timestamp, 77, 0, 0, 0, default);
            packet.AsSpan(12).Fill(0x90);
            Send(packet, port);
        }

        /// <summary>How many packets were waiting.</summary>
        public int Drain()
        {
            var count = 0;
            for (; _socket.Available > 0; count++)
            {
                _socket.Receive(_buffer);
            }

            return count;
        }

        public int Receive(List<(ushort Sequence, uint Timestamp, int Length)> packets)
        {
            while (_socket.Available > 0)
            {
                if (RtpPacket.TryRead(_buffer.AsSpan(0, _socket.Receive(_buffer)), out var packet))
                {
                    packets.Add((packet.Sequence, packet.Timestamp, packet.Payload.Length));
                }
            }

            return packets.Count;
        }

        public List<short> Sound()
        {
            var (all, pcm) = (new List<short>(), new short[2_048]);
            while (_socket.Available > 0)
            {
                if (RtpPacket.TryRead(_buffer.AsSpan(0, _socket.Receive(_buffer)), out var packet))
                {
                    all.AddRange(pcm.AsSpan(0, VoicePlatform.MediaServer.Sip.Media.Codecs.G711.Mu.Decode(packet.Payload, pcm)));
                }
            }

            return all;
        }

        public void Dispose() => _socket.Dispose();
    }
}
