using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.MediaServer.Transport;
using VoicePlatform.MediaServer.Transport.Dtls;

namespace VoicePlatform.Tests.MediaServer.Transport;

/// <summary>Joining, talking and leaving from many threads at once: native sessions are freed while packets for them are under way.</summary>
[TestFixture]
internal sealed class ChurnTests
{
    private const int Threads = 4;
    private const int Visits = 12;

    [Test]
    public void A_session_that_was_freed_has_no_keys()
    {
        using var identity = new DtlsIdentity(TimeProvider.System);
        var session = new DtlsSession(identity, isClient: true, identity.Fingerprint, _ => { });
        session.Dispose();
        Assert.That(session.ExportSrtpKeys().Profile, Is.EqualTo(SrtpProfile.None));
    }

    [Test]
    public async Task Peers_come_and_go_while_another_goes_on_talking()
    {
        await using var server = new MediaTransport(new TransportOptions { UdpPort = 0 }, TimeProvider.System, NullLoggerFactory.Instance);
        server.Start();
        using var speaker = new TestClient(server);
        speaker.Offers.Data().Send("mic", 77);
        speaker.Negotiate();
        speaker.Start();
        Assert.That(TestClient.Eventually(() => speaker.Peer.State == PeerState.Connected && speaker.IsUp), Is.True);
        var source = speaker.Published();

        var isOver = false;
        var talking = new Thread(() =>
        {
            using var pace = new ManualResetEventSlim();
            for (ushort i = 0; !Volatile.Read(ref isOver); i++)
            {
                speaker.SendRtp(Packets.Red(77, i, (uint)(960 * i), [1, 2, 3], [4, 5]));
                pace.Wait(2);
            }
        });
        talking.Start();
        var failures = 0;
        var visitors = Enumerable.Range(0, Threads).Select(n => new Thread(() =>
        {
            for (var visit = 0; visit < Visits; visit++)
            {
                try
                {
                    Interlocked.Add(ref failures, Visit(server, source, (n * Visits) + visit) ? 0 : 1);
                }
                catch (Exception e)
                {
                    Interlocked.Increment(ref failures);        // An exception that left the thread would end the run.
                    TestContext.Out.WriteLine(e);
                }
            }
        })).ToArray();
        foreach (var visitor in visitors)
        {
            visitor.Start();
        }

        foreach (var visitor in visitors)
        {
            visitor.Join();
        }

        Volatile.Write(ref isOver, true);
        talking.Join();
        Assert.That(failures, Is.Zero);
        Assert.That(server.Counters.Faults, Is.Zero);
        Assert.That(speaker.Peer.State, Is.EqualTo(PeerState.Connected));
        Assert.That(source.PacketsLost, Is.Zero);
    }

    private static bool Visit(MediaTransport server, InboundAudio source, int number)
    {
        using var client = new TestClient(server);
        client.Offers.Receive().Data();
        var subscription = client.Peer.Subscribe(source, "PA", "TR");
        client.Negotiate();
        client.Start();
        if (number % 6 != 5)        // some leave before they are up
        {
            if (!TestClient.Eventually(() => client.Peer.State == PeerState.Connected && client.IsUp))
            {
                return false;
            }

            client.OpenChannels();
            if (!TestClient.Eventually(() => client.OpenAtServer.Count == 3 && client.Rtp.Count > 3))
            {
                return false;
            }

            var message = new byte[20_000];
            for (var i = 0; i < 20; i++)
            {
                client.SendData(2, message);
                client.Peer.SendData(DataChannelKind.Reliable, message);
            }

            client.Peer.Unsubscribe(subscription);
            client.Negotiate();
        }

        // Half of them are thrown out while they still send, half leave by themselves first.
        if (number % 2 == 0)
        {
            client.Dispose();
        }

        client.Peer.DisposeAsync().AsTask().GetAwaiter().GetResult();
        return true;
    }
}
