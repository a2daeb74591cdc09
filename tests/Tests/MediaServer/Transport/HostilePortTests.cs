using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.MediaServer.Transport;

namespace VoicePlatform.Tests.MediaServer.Transport;

/// <summary>Whatever arrives at the port, the peers on it go on.</summary>
[TestFixture]
internal sealed class HostilePortTests
{
    [Test]
    public async Task Random_and_mutated_datagrams_from_strangers_and_from_a_peer_itself_take_nothing_down()
    {
        await using var server = new MediaTransport(new TransportOptions { UdpPort = 0 }, TimeProvider.System, NullLoggerFactory.Instance);
        server.Start();
        using var alice = new TestClient(server);
        using var mallory = new TestClient(server);
        foreach (var client in new[] { alice, mallory })
        {
            client.Offers.Receive().Data().Send("mic", 77);
            client.Negotiate();
            client.Start();
            Assert.That(TestClient.Eventually(() => client.Peer.State == PeerState.Connected && client.IsUp), Is.True);
        }

        var random = new Random(7);
        var seeds = new[]
        {
            Packets.Red(77, 1, 2, [1, 2, 3], [4]), Packets.Opus(77, 1, 2, [9]), [0x80, 200, 0, 6, .. new byte[40]],
            [22, 254, 253, 0, 0, 0, 0, 0, 0, 0, 9, 0, 10, .. new byte[10]], [23, 254, 253, 0, 1, 0, 0, 0, 0, 0, 9, 0, 40, .. new byte[40]],
            Convert.FromHexString("000100002112a442b7e7a701bc34d686fa87dfae"),
        };
        using var stranger = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        var port = new IPEndPoint(IPAddress.Loopback, server.UdpPort);
        for (var i = 0; i < 20_000; i++)
        {
            var seed = seeds[random.Next(seeds.Length)];
            var bytes = random.Next(4) == 0 ? new byte[random.Next(1_500)] : seed[..random.Next(1, seed.Length + 1)];
            for (var edits = bytes == seed ? 0 : random.Next(8); edits > 0 && bytes.Length > 0; edits--)
            {
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            }

            if (i % 2 == 0)
            {
                stranger.SendTo(bytes, port);
            }
            else
            {
                mallory.SendRaw(bytes);
            }
        }

        // The flood has been read when a check that was sent after it is answered.
        var answered = alice.StunAnswers;
        Assert.That(TestClient.Eventually(() => alice.StunAnswers >= answered + 2), Is.True);
        var source = alice.Published();
        alice.SendRtp(Packets.Opus(77, 1, 960, [1]));
        Assert.That(TestClient.Eventually(() => source.PacketsReceived == 1), Is.True);
        Assert.That(alice.Peer.State, Is.EqualTo(PeerState.Connected));
        Assert.That(server.Counters.Faults, Is.Zero);
        Assert.That(server.Counters.Strangers, Is.GreaterThan(100));
        Assert.That(server.Counters.StunRefused, Is.GreaterThan(100));
        Assert.That(server.Counters.MediaRefused, Is.GreaterThan(100));
    }

    [Test]
    public async Task Garbage_inside_an_authentic_connection_ends_only_that_connection()
    {
        await using var server = new MediaTransport(new TransportOptions { UdpPort = 0 }, TimeProvider.System, NullLoggerFactory.Instance);
        server.Start();
        using var alice = new TestClient(server);
        using var mallory = new TestClient(server);
        foreach (var client in new[] { alice, mallory })
        {
            client.Offers.Receive().Data().Send("mic", 77);
            client.Negotiate();
            client.Start();
            Assert.That(TestClient.Eventually(() => client.Peer.State == PeerState.Connected && client.IsUp), Is.True);
        }

        alice.OpenChannels();
        mallory.OpenChannels();
        Assert.That(TestClient.Eventually(() => alice.OpenAtServer.Count == 3 && mallory.OpenAtServer.Count == 3), Is.True);
        var random = new Random(8);
        for (var i = 0; i < 3_000; i++)
        {
            var bytes = new byte[random.Next(1, 1_000)];
            random.NextBytes(bytes);
            switch (random.Next(3))
            {
                case 0:
                    mallory.SendSctp(bytes);
                    break;
                case 1:
                    bytes = [.. Packets.Red(77, (ushort)i, (uint)i, [1], [2]), .. bytes];
                    bytes[0] = (byte)(0x80 | (random.Next(64) & 0x3F));
                    bytes[random.Next(12, bytes.Length)] ^= 0x55;
                    mallory.TrySendRtp(bytes);
                    break;
                default:
                    mallory.SendRtcp([(byte)(0x80 | random.Next(32)), (byte)random.Next(200, 207), 0, (byte)random.Next(12), .. bytes[..Math.Min(60, bytes.Length)]]);
                    break;
            }
        }

        Assert.That(alice.Peer.SendData(DataChannelKind.Reliable, "fine"u8), Is.True);
        Assert.That(TestClient.Eventually(() => alice.Received.Count == 1), Is.True);
        Assert.That(server.Counters.Faults, Is.Zero);
    }

    /// <summary>usrsctp is C: a bug there would take the process down, so what reaches it is tried as hard as what reaches us.</summary>
    [Test]
    public async Task Tampered_sctp_chunks_with_right_checksums_end_at_most_their_own_association()
    {
        await using var server = new MediaTransport(new TransportOptions { UdpPort = 0 }, TimeProvider.System, NullLoggerFactory.Instance);
        server.Start();
        using var alice = new TestClient(server);
        alice.Offers.Data();
        alice.Negotiate();
        alice.Start();
        Assert.That(TestClient.Eventually(() => alice.IsUp), Is.True);
        alice.OpenChannels();
        var random = new Random(9260);
        for (var round = 0; round < 20; round++)
        {
            using var mallory = new TestClient(server);
            mallory.Offers.Data();
            mallory.Negotiate();
            var fromStart = round % 2 == 0;
            void Tamper(byte[] packet)
            {
                // Behind the common header: chunk types, flags, lengths and what is in them.
                for (var edits = random.Next(4); edits > 0 && packet.Length > 13; edits--)
                {
                    var at = random.Next(3) == 0 ? random.Next(12, Math.Min(16, packet.Length)) : random.Next(12, packet.Length);
                    packet[at] = random.Next(2) == 0 ? (byte)random.Next(256) : (byte)(packet[at] ^ (1 << random.Next(8)));
                }
            }

            mallory.Tamper = fromStart ? Tamper : null;
            mallory.Start();
            Assert.That(TestClient.Eventually(() => mallory.IsUp), Is.True);
            if (!fromStart)
            {
                mallory.OpenChannels();
                Assert.That(TestClient.Eventually(() => mallory.OpenAtServer.Count == 3), Is.True);
                mallory.Tamper = Tamper;
            }

            var message = new byte[random.Next(1, 5_000)];
            for (var i = 0; i < 100; i++)
            {
                mallory.SendData((ushort)(2 * random.Next(3)), message);
                mallory.Peer.SendData(DataChannelKind.Reliable, message);
            }

            await mallory.Peer.DisposeAsync();
        }

        Assert.That(TestClient.Eventually(() => alice.Peer.SendData(DataChannelKind.Reliable, "fine"u8)), Is.True);
        Assert.That(TestClient.Eventually(() => alice.Received.Count == 1), Is.True);
        Assert.That(server.Counters.Faults, Is.Zero);
    }

    [Test]
    public async Task A_client_that_makes_up_streams_gets_only_so_many()
    {
        await using var server = new MediaTransport(new TransportOptions { UdpPort = 0 }, TimeProvider.System, NullLoggerFactory.Instance);
        server.Start();
        using var mallory = new TestClient(server);
        mallory.Offers.Data().Send("mic", 77);
        mallory.Negotiate();
        mallory.Start();
        Assert.That(TestClient.Eventually(() => mallory.Peer.State == PeerState.Connected && mallory.IsUp), Is.True);
        for (var i = 0u; i < 1_000; i++)
        {
            mallory.SendRtp(Packets.Opus(1_000 + i, 1, 960, [1]));
            mallory.SendRtcp([0x80, 201, 0, 1, .. BitConverter.GetBytes(i + 1)]);
        }

        mallory.SendRtp(Packets.Opus(77, 1, 960, [1]));
        Assert.That(TestClient.Eventually(() => server.Counters.MediaRefused >= 900 && mallory.Peer.Stats.PacketsIn == 33), Is.True);
        Assert.That(server.Counters.MediaRefused, Is.EqualTo(1_000 - 32));
        Assert.That(server.Counters.Faults, Is.Zero);
    }
}
