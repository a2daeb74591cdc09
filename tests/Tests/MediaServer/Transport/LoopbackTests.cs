using System.Buffers.Binary;
using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.MediaServer.Transport;
using VoicePlatform.MediaServer.Transport.Rtp;

namespace VoicePlatform.Tests.MediaServer.Transport;

/// <summary>The transport as a client sees it, over real sockets on loopback.</summary>
[TestFixture]
internal sealed class LoopbackTests
{
    private const uint AliceSsrc = 933_421_307;
    private MediaTransport _server = null!;
    private readonly List<TestClient> _clients = [];

    [SetUp]
    public void Start()
    {
        _server = new MediaTransport(new TransportOptions { UdpPort = 0, ConsentTimeout = TimeSpan.FromMilliseconds(600) }, TimeProvider.System, NullLoggerFactory.Instance);
        _server.Start();
    }

    [TearDown]
    public async Task Stop()
    {
        foreach (var client in _clients)
        {
            client.Dispose();
        }

        _clients.Clear();
        var faults = _server.Counters.Faults;
        await _server.DisposeAsync();
        Assert.That(faults, Is.Zero, "an exception reached a loop's outer edge");
    }

    [Test]
    public void A_client_connects_and_exchanges_messages_of_every_size_on_both_channels()
    {
        var alice = Connect(c => c.Offers.Receive().Data());
        alice.OpenChannels();
        Assert.That(TestClient.Eventually(() => alice.OpenAtServer.Count == 3), Is.True);

        var big = new byte[200_000];
        new Random(1).NextBytes(big);
        Assert.That(alice.SendData(2, "hello"u8), Is.True);
        Assert.That(alice.SendData(2, big), Is.True);
        Assert.That(alice.SendData(0, big.AsSpan(0, 900)), Is.True);
        Assert.That(TestClient.Eventually(() => alice.AtServer.Count == 3), Is.True);
        var reliable = alice.AtServer.Where(m => m.Channel == DataChannelKind.Reliable).Select(m => m.Message).ToArray();
        Assert.That(reliable[0], Is.EqualTo("hello"u8.ToArray()));
        Assert.That(reliable[1], Is.EqualTo(big));
        Assert.That(alice.AtServer.Single(m => m.Channel == DataChannelKind.Lossy).Message, Is.EqualTo(big[..900]));

        Assert.That(alice.Peer.SendData(DataChannelKind.Reliable, big), Is.True);
        Assert.That(alice.Peer.SendData(DataChannelKind.Reliable, []), Is.True);
        Assert.That(alice.Peer.SendData(DataChannelKind.Lossy, "x"u8), Is.True);
        Assert.That(TestClient.Eventually(() => alice.Received.Count == 3), Is.True);
        Assert.That(alice.Received.Where(m => m.Stream == 2).Select(m => m.Message), Is.EqualTo(new[] { big, [] }));
        Assert.That(alice.Received.Single(m => m.Stream == 0).Message, Is.EqualTo("x"u8.ToArray()));
    }

    [Test]
    public void Data_is_refused_rather_than_queued_without_bound_when_a_client_does_not_read()
    {
        var alice = Connect(c => c.Offers.Data());
        Assert.That(alice.Peer.SendData(DataChannelKind.Reliable, "early"u8), Is.False, "no channel is open yet");
        alice.OpenChannels();
        Assert.That(TestClient.Eventually(() => alice.OpenAtServer.Count == 3), Is.True);
        alice.Dispose();
        _clients.Remove(alice);

        var message = new byte[60_000];
        var accepted = 0;
        while (accepted < 100 && alice.Peer.SendData(DataChannelKind.Reliable, message))
        {
            accepted++;
        }

        Assert.That(accepted, Is.LessThan(40));
    }

    [Test]
    public void Published_audio_reaches_the_subscriber_under_its_own_numbers()
    {
        var alice = Connect(c => c.Offers.Receive().Data().Send("mic", AliceSsrc));
        var bob = new TestClient(_server);
        _clients.Add(bob);
        bob.Offers.Receive(2).Data();
        var source = alice.Published();
        bob.Peer.Subscribe(source, "PA_alice", "TR_mic");
        Assert.That(bob.Peer.NeedsNegotiation, Is.True);
        var negotiated = bob.Negotiate();
        Assert.That(negotiated.MidToTrackId, Is.EqualTo(new Dictionary<string, string> { ["0"] = "TR_mic" }));
        Assert.That(negotiated.AnswerSdp, Does.Contain("a=msid:PA_alice TR_mic"));
        Assert.That(bob.Peer.NeedsNegotiation, Is.False);
        bob.Start();
        Assert.That(TestClient.Eventually(() => bob.Peer.State == PeerState.Connected), Is.True);

        for (ushort i = 0; i < 20; i++)
        {
            alice.SendRtp(Packets.Red(AliceSsrc, (ushort)(65_530 + i), (uint)(1_000 + (960 * i)), [(byte)i, 2, 3], previous: [9, 9], level: 30, mid: "2"));
        }

        Assert.That(TestClient.Eventually(() => bob.Rtp.Count == 20), Is.True);
        Assert.That(alice.Started.Single(), Is.SameAs(source));
        Assert.That(source.PacketsReceived, Is.EqualTo(20));
        Assert.That(source.AudioLevel, Is.EqualTo(30));
        Assert.That(source.ReadLevel(), Is.EqualTo(Math.Pow(10, -1.5)).Within(1e-9));
        Assert.That(source.ReadLevel(), Is.Zero);

        var received = bob.Rtp.ToArray();
        Assert.That(RtpPacket.TryRead(received[0], out var first), Is.True);
        var (ssrc, sequence, timestamp) = (first.Ssrc, first.Sequence, first.Timestamp);
        Assert.That(ssrc, Is.Not.EqualTo(AliceSsrc));
        Assert.That(negotiated.AnswerSdp, Does.Contain($"a=ssrc:{ssrc} "));
        for (var i = 0; i < 20; i++)
        {
            Assert.That(RtpPacket.TryRead(received[i], out var packet), Is.True);
            Assert.That(packet.Ssrc, Is.EqualTo(ssrc));
            Assert.That(packet.PayloadType, Is.EqualTo(63));
            Assert.That(packet.Sequence, Is.EqualTo((ushort)(sequence + i)));
            Assert.That(packet.Timestamp, Is.EqualTo(timestamp + (uint)(960 * i)));
            Assert.That(packet.Extension(1).ToArray(), Is.EqualTo(new byte[] { 30 }));
            Assert.That(packet.Extension(4).ToArray(), Is.EqualTo("0"u8.ToArray()));
        }
    }

    [Test]
    public void Reports_go_both_ways_and_become_statistics()
    {
        var alice = Connect(c => c.Offers.Data().Send("mic", AliceSsrc));
        var bob = Connect(c => c.Offers.Receive().Data());
        var subscription = bob.Peer.Subscribe(alice.Published(), "PA_alice", "TR_mic");
        bob.Negotiate();
        for (ushort i = 0; i < 50; i++)
        {
            if (i != 20)
            {
                alice.SendRtp(Packets.Opus(AliceSsrc, i, (uint)(960 * i), [1]));
            }
        }

        Assert.That(TestClient.Eventually(() => bob.Rtp.Count == 49), Is.True);
        static bool TellsOfALoss(byte[] packet)
        {
            ReadOnlySpan<byte> report = packet;
            return packet[1] == RtcpPacket.ReceiverReport && RtcpPacket.TryReadNext(ref report, out var receiver) && receiver.Block(0) is { Ssrc: AliceSsrc, Lost: 1 };
        }

        // The first may have been written before all of them were there.
        Assert.That(TestClient.Eventually(() => bob.Rtcp.Any(p => p[1] == RtcpPacket.SenderReport) && alice.Rtcp.Any(TellsOfALoss)), Is.True);
        Assert.That(alice.Peer.Stats.PacketsLostIn, Is.EqualTo(1));

        ReadOnlySpan<byte> sent = bob.Rtcp.First(p => p[1] == RtcpPacket.SenderReport);
        Assert.That(RtcpPacket.TryReadNext(ref sent, out var sender), Is.True);
        Assert.That(sender.Ssrc, Is.EqualTo(subscription.Stream!.Ssrc));
        Span<byte> answer = stackalloc byte[64];
        var block = new ReportBlock(sender.Ssrc, 64, 7, 100, 480, (uint)(sender.Ntp >> 16), 0);
        bob.SendRtcp(answer[..RtcpPacket.WriteReceiverReport(answer, 77, [block])]);
        Assert.That(TestClient.Eventually(() => bob.Peer.Stats.PacketsLostOut == 7), Is.True);
        Assert.That(bob.Peer.Stats.FractionLostOut, Is.EqualTo(0.25));
        Assert.That(bob.Peer.Stats.RoundTrip, Is.GreaterThanOrEqualTo(TimeSpan.Zero).And.LessThan(TimeSpan.FromSeconds(10)));
        Assert.That(bob.Peer.Stats.JitterOut, Is.EqualTo(TimeSpan.FromMilliseconds(10)));
    }

    [Test]
    public void A_restart_of_ice_keeps_dtls_srtp_and_channels()
    {
        var alice = Connect(c => c.Offers.Receive().Data().Send("mic", AliceSsrc));
        alice.OpenChannels();
        Assert.That(TestClient.Eventually(() => alice.OpenAtServer.Count == 3), Is.True);
        alice.SendRtp(Packets.Opus(AliceSsrc, 1, 960, [1]));

        alice.StopChecks();
        Assert.That(TestClient.Eventually(() => alice.Peer.State == PeerState.Disconnected), Is.True);
        alice.Rebind();
        alice.RestartIce();
        var before = alice.Published();
        var answer = alice.Negotiate();
        Assert.That(answer.AnswerSdp, Does.Contain("a=setup:passive"));
        Assert.That(alice.Published(), Is.SameAs(before));
        alice.ResumeChecks();
        Assert.That(TestClient.Eventually(() => alice.Peer.State == PeerState.Connected), Is.True);
        Assert.That(alice.States, Is.EqualTo(new[] { PeerState.Connected, PeerState.Disconnected, PeerState.Connected }));

        alice.SendRtp(Packets.Opus(AliceSsrc, 2, 1_920, [1]));
        Assert.That(TestClient.Eventually(() => before.PacketsReceived == 2), Is.True);
        Assert.That(alice.Peer.SendData(DataChannelKind.Reliable, "still here"u8), Is.True);
        Assert.That(TestClient.Eventually(() => alice.Received.Count == 1), Is.True);
    }

    [Test]
    public void A_client_that_moves_to_another_port_is_followed()
    {
        var alice = Connect(c => c.Offers.Data());
        alice.OpenChannels();
        Assert.That(TestClient.Eventually(() => alice.OpenAtServer.Count == 3), Is.True);
        alice.Rebind();
        var answers = alice.StunAnswers;
        Assert.That(TestClient.Eventually(() => alice.StunAnswers > answers + 1), Is.True);
        Assert.That(alice.Peer.SendData(DataChannelKind.Reliable, "moved"u8), Is.True);
        Assert.That(TestClient.Eventually(() => alice.Received.Count == 1), Is.True);
    }

    [Test]
    public void A_certificate_other_than_the_signalled_one_is_refused()
    {
        var mallory = new TestClient(_server);
        _clients.Add(mallory);
        mallory.Offers.Fingerprint = new VoicePlatform.MediaServer.Transport.Dtls.CertificateFingerprint(new byte[32]).ToString();
        mallory.Offers.Data();
        mallory.Negotiate();
        mallory.Start();
        Assert.That(TestClient.Eventually(() => mallory.Peer.State == PeerState.Failed), Is.True);
        Assert.That(mallory.IsUp, Is.False);
        Assert.That(mallory.States, Is.EqualTo(new[] { PeerState.Failed }));
    }

    [Test]
    public void A_client_that_insists_on_being_the_dtls_server_is_called()
    {
        var alice = Connect(c =>
        {
            c.Offers.Setup = "passive";
            c.Offers.Data();
        });
        Assert.That(alice.Peer.State, Is.EqualTo(PeerState.Connected));
    }

    [Test]
    public async Task A_client_that_says_goodbye_is_closed_and_one_that_is_thrown_out_is_told()
    {
        var alice = Connect(c => c.Offers.Data());
        var bob = Connect(c => c.Offers.Data());
        alice.Dispose();
        _clients.Remove(alice);
        Assert.That(TestClient.Eventually(() => alice.Peer.State == PeerState.Closed), Is.True);
        Assert.That(bob.Peer.State, Is.EqualTo(PeerState.Connected));

        await bob.Peer.DisposeAsync();
        Assert.That(TestClient.Eventually(() => bob.IsClosed), Is.True);
    }

    [Test]
    public void A_muted_track_goes_on_without_a_gap_for_its_subscribers()
    {
        var alice = Connect(c => c.Offers.Data().Send("mic", AliceSsrc));
        var bob = Connect(c => c.Offers.Receive().Data());
        var source = alice.Published();
        bob.Peer.Subscribe(source, "PA_alice", "TR_mic");
        bob.Negotiate();
        void Send(int from, int count)
        {
            for (var i = from; i < from + count; i++)
            {
                alice.SendRtp(Packets.Opus(AliceSsrc, (ushort)i, (uint)(960 * i), [(byte)i]));
            }

            Assert.That(TestClient.Eventually(() => source.PacketsReceived == from + count), Is.True);
        }

        Send(0, 5);
        Assert.That(TestClient.Eventually(() => bob.Rtp.Count == 5), Is.True);
        source.Muted = true;
        Send(5, 5);
        var answered = alice.StunAnswers;
        Assert.That(TestClient.Eventually(() => alice.StunAnswers >= answered + 2), Is.True, "Who answers them has done with what came before.");
        source.Muted = false;
        Send(10, 5);
        Assert.That(TestClient.Eventually(() => bob.Rtp.Count == 10), Is.True);
        var sequences = bob.Rtp.Select(p => BinaryPrimitives.ReadUInt16BigEndian(p.AsSpan(2))).ToArray();
        Assert.That(sequences, Is.EqualTo(Enumerable.Range(0, 10).Select(i => (ushort)(sequences[0] + i))));
        var timestamps = bob.Rtp.Select(p => BinaryPrimitives.ReadUInt32BigEndian(p.AsSpan(4))).ToArray();
        Assert.That(timestamps.Zip(timestamps.Skip(1)).All(t => (int)(t.Second - t.First) >= 960), Is.True);
    }

    [Test]
    public void A_connection_comes_up_and_delivers_reliably_where_a_tenth_of_the_datagrams_is_lost()
    {
        var alice = new TestClient(_server) { Loss = 0.1 };
        _clients.Add(alice);
        alice.Offers.Data();
        alice.Negotiate();
        alice.Start();
        Assert.That(TestClient.Eventually(() => alice.Peer.State == PeerState.Connected && alice.IsUp, 30_000), Is.True);
        alice.OpenChannels();
        Assert.That(TestClient.Eventually(() => alice.OpenAtServer.Contains(DataChannelKind.Reliable), 30_000), Is.True);
        for (byte i = 0; i < 50; i++)
        {
            Assert.That(alice.SendData(2, [i, .. new byte[3_000]]), Is.True);
        }

        Assert.That(TestClient.Eventually(() => alice.AtServer.Count == 50, 30_000), Is.True);
        Assert.That(alice.AtServer.Select(m => m.Message[0]), Is.Ordered);
    }

    /// <summary>Alone, because it counts the bytes that the whole process allocates.</summary>
    [Test]
    [NonParallelizable]
    public void The_way_from_socket_to_socket_allocates_nothing_per_packet()
    {
        var alice = Connect(c => c.Offers.Data().Send("mic", AliceSsrc));
        var bob = Connect(c => c.Offers.Receive().Data());
        var source = alice.Published();
        bob.Peer.Subscribe(source, "PA_alice", "TR_mic");
        bob.Negotiate();
        bob.IsDeaf = true;      // its own receiving would be counted too
        const int Warm = 500;
        const int Count = 5_000;
        var packets = Enumerable.Range(0, Warm + Count).Select(i => Packets.Opus(AliceSsrc, (ushort)i, (uint)(960 * i), new byte[60])).ToArray();
        void Send(int from, int to)
        {
            for (var i = from; i < to; i++)
            {
                alice.SendRtpLean(packets[i]);
                while (i - source.PacketsReceived > 100)
                {
                    Thread.Yield();
                }
            }

            Assert.That(TestClient.Eventually(() => source.PacketsReceived >= to - 50), Is.True);
        }

        Send(0, Warm);
        var before = GC.GetTotalAllocatedBytes(precise: true);
        Send(Warm, Warm + Count);
        var perPacket = (GC.GetTotalAllocatedBytes(precise: true) - before) / (double)Count;
        Assert.That(bob.Peer.Stats.PacketsOut, Is.GreaterThan(Count));
        Assert.That(perPacket, Is.LessThan(16), "timers and checks may allocate a little beside the packets");
    }

    [Test]
    public void A_port_in_use_is_said_in_one_sentence()
    {
        var second = new MediaTransport(new TransportOptions { UdpPort = _server.UdpPort }, TimeProvider.System, NullLoggerFactory.Instance);
        Assert.That(second.Start, Throws.TypeOf<TransportException>().With.Message.Contains("in use"));
    }

    private TestClient Connect(Action<TestClient> offer)
    {
        var client = new TestClient(_server);
        _clients.Add(client);
        offer(client);
        client.Negotiate();
        client.Start();
        Assert.That(TestClient.Eventually(() => client.Peer.State == PeerState.Connected && client.IsUp), Is.True, $"DTLS: {client.DtlsFailure}");
        return client;
    }
}
