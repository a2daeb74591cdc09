using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.MediaServer.Transport;

namespace VoicePlatform.Tests.MediaServer.Transport;

/// <summary>Data channels whose receiver does not keep up, and a server that fails while it handles one.</summary>
[TestFixture]
internal sealed class DataFlowTests
{
    private MediaTransport _server = null!;
    private readonly List<TestClient> _clients = [];

    [SetUp]
    public void Start()
    {
        _server = new MediaTransport(new TransportOptions { UdpPort = 0 }, TimeProvider.System, NullLoggerFactory.Instance);
        _server.Start();
    }

    [TearDown]
    public async Task Stop()
    {
        _clients.ForEach(client => client.Dispose());
        await _server.DisposeAsync();
    }

    [TestCase(60_000)]
    [TestCase(100)]
    public void Lossy_data_still_goes_out_when_reliable_data_is_stuck(int size)
    {
        var alice = Connect();
        alice.Loss = 1;     // acknowledges nothing any more
        var message = new byte[size];
        var accepted = 0;
        while (accepted < 20_000 && alice.Peer.SendData(DataChannelKind.Reliable, message))
        {
            accepted++;
        }

        Assert.That(accepted, Is.LessThan(20_000), "what waits is bounded");
        Assert.That(alice.Peer.SendData(DataChannelKind.Lossy, new byte[100]), Is.True);
        Assert.That(alice.Peer.SendData(DataChannelKind.Reliable, message), Is.False);

        accepted = 0;
        while (accepted < 20_000 && alice.Peer.SendData(DataChannelKind.Lossy, message))
        {
            accepted++;
        }

        Assert.That(accepted, Is.InRange(1, 3_000), "and so is this");
    }

    [Test]
    public void A_sender_waits_for_a_room_that_does_not_keep_up_and_nothing_is_lost()
    {
        var alice = Connect();
        var bob = Connect();
        alice.IsBusy = true;
        var sent = 0;
        while (sent < 2_000 && alice.SendData(2, BitConverter.GetBytes(sent).Concat(new byte[5_000]).ToArray()))
        {
            sent++;
        }

        Assert.That(sent, Is.LessThan(2_000), "the client's own buffer fills up");
        Assert.That(bob.SendData(2, "hello"u8), Is.True);
        Assert.That(TestClient.Eventually(() => bob.AtServer.Count == 1), Is.True, "others are not held up");
        Assert.That(alice.AtServer, Is.Empty);

        alice.IsBusy = false;
        Assert.That(TestClient.Eventually(() => alice.AtServer.Count == sent), Is.True);
        Assert.That(alice.AtServer.Select(m => BitConverter.ToInt32(m.Message)), Is.EqualTo(Enumerable.Range(0, sent)));
    }

    [Test]
    public void A_fault_is_counted_and_costs_only_the_peer_it_happened_to()
    {
        var alice = Connect();
        var bob = Connect();
        alice.IsFaulty = true;
        alice.SendData(2, "boom"u8);
        Assert.That(TestClient.Eventually(() => alice.Peer.State == PeerState.Failed), Is.True);
        Assert.That(_server.Counters.Faults, Is.EqualTo(1));

        bob.SendData(2, "hello"u8);
        Assert.That(TestClient.Eventually(() => bob.AtServer.Count == 1), Is.True);
        Assert.That(bob.Peer.State, Is.EqualTo(PeerState.Connected));
    }

    [Test]
    public async Task No_more_peers_are_made_than_the_limit_however_many_are_asked_for_at_once()
    {
        await using var small = new MediaTransport(new TransportOptions { UdpPort = 0, MaxPeers = 10 }, TimeProvider.System, NullLoggerFactory.Instance);
        small.Start();
        var made = 0;
        Parallel.For(0, 200, _ =>
        {
            try
            {
                small.CreatePeer(NoObserver.Nobody);
                Interlocked.Increment(ref made);
            }
            catch (TransportException)
            {
                // As it should.
            }
        });
        Assert.That(made, Is.EqualTo(10));
    }

    private TestClient Connect()
    {
        var client = new TestClient(_server);
        _clients.Add(client);
        client.Offers.Data();
        client.Negotiate();
        client.Start();
        Assert.That(TestClient.Eventually(() => client.Peer.State == PeerState.Connected && client.IsUp), Is.True);
        client.OpenChannels();
        Assert.That(TestClient.Eventually(() => client.OpenAtServer.Count == 3), Is.True);
        return client;
    }

    private sealed class NoObserver : IPeerObserver
    {
        public static readonly NoObserver Nobody = new();

        public void OnStateChanged(PeerState state)
        {
        }

        public void OnData(DataChannelKind channel, ReadOnlySpan<byte> message)
        {
        }

        public void OnDataChannelOpen(DataChannelKind channel)
        {
        }

        public void OnAudioStarted(InboundAudio audio)
        {
        }
    }
}
