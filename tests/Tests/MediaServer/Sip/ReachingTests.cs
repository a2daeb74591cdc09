using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using VoicePlatform.MediaServer.Sip.Signalling;

namespace VoicePlatform.Tests.MediaServer.Sip;

/// <summary>How a callee's address is found.</summary>
[TestFixture]
internal sealed class ReachingTests
{
    [Test]
    public async Task A_domain_is_called_by_its_service_records_and_a_dead_server_passed_over()
    {
        await using var bob = TestAgent.Start();
        using var dead = new WirePeer();        // UDP only: a TCP connection is refused
        using var stop = new CancellationTokenSource();
        using var names = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
        names.Bind(TestAgent.Loopback(0));
        var serving = ServeAsync(names, [(20, bob.Agent.Port), (10, dead.Port)], stop.Token);
        await using var alice = TestAgent.Start(options: TestAgent.Quick with { NameServer = (IPEndPoint)names.LocalEndPoint! });

        var outcome = await alice.Call(SipUri.Parse("sip:bob@example.test;transport=tcp")).Outcome;

        Assert.That(outcome, Is.InstanceOf<InviteOutcome.Answered>(), () => outcome.ToString());
        Assert.That(bob.Calls.Single().RequestUri.ToString(), Is.EqualTo("sip:bob@example.test;transport=tcp"));
        await stop.CancelAsync();
        Assert.That(await serving, Is.EqualTo(new[] { "_sip._tcp.example.test" }));
    }

    [Test]
    public async Task An_outbound_proxy_takes_the_request_and_the_target_stays()
    {
        await using var alice = TestAgent.Start();
        using var proxy = new WirePeer();
        _ = alice.Call(SipUri.Parse("sip:+15550199@provider.example"), with: i => i with { NextHop = SipUri.Parse($"sip:127.0.0.1:{proxy.Port}"), FromHost = "tenant.example" });

        var invite = await proxy.RequestAsync("INVITE");

        Assert.That(invite.RequestUri, Is.EqualTo("sip:+15550199@provider.example"));
        Assert.That(invite.Headers["Route"], Is.EqualTo($"<sip:127.0.0.1:{proxy.Port};lr>"));
        Assert.That(invite.Headers["From"], Does.StartWith("\"Alice \\\"A\\\"\" <sip:+15550100@tenant.example>;tag="));
        Assert.That(invite.Headers["To"], Is.EqualTo("<sip:+15550199@provider.example>"));
    }

    [Test]
    public async Task Calls_go_over_ipv6()
    {
        var options = TestAgent.Quick with { Bind = IPAddress.IPv6Loopback };
        await using var alice = TestAgent.Start(options: options);
        await using var bob = TestAgent.Start(options: options);
        foreach (var transport in new[] { SipTransport.Udp, SipTransport.Tcp })
        {
            var call = alice.Call(bob.Uri(transport: transport) with { Host = "[::1]" });
            Assert.That(await call.Outcome, Is.InstanceOf<InviteOutcome.Answered>());
            await call.HangUpAsync().WaitAsync(TimeSpan.FromSeconds(5));
        }

        await TestAgent.EventuallyAsync(() => bob.Observers.All(o => !o.HangUps.IsEmpty), "each call is over");
        Assert.That(bob.Observers.Select(o => o.HangUps.Count), Is.EqualTo(new[] { 1, 1 }));
    }

    [Test]
    public async Task The_public_address_is_what_peers_are_told()
    {
        await using var alice = TestAgent.Start(options: TestAgent.Quick with { PublicAddress = IPAddress.Parse("203.0.113.9") });
        using var peer = new WirePeer();
        _ = alice.Call(peer.Uri);

        var invite = await peer.RequestAsync("INVITE");

        Assert.That(invite.Headers["Contact"], Is.EqualTo($"<sip:+15550100@203.0.113.9:{alice.Agent.Port}>"));
        Assert.That((invite.TopVia!.Host, invite.TopVia.WantsRport), Is.EqualTo(("203.0.113.9", true)));
    }

    private static async Task<List<string>> ServeAsync(Socket socket, (int Priority, int Port)[] records, CancellationToken ct)
    {
        var asked = new List<string>();
        var buffer = new byte[512];
        try
        {
            while (true)
            {
                var received = await socket.ReceiveFromAsync(buffer, new IPEndPoint(IPAddress.Any, 0), ct);
                var question = buffer[..received.ReceivedBytes];
                var labels = new List<string>();
                for (var at = 12; question[at] > 0; at += question[at] + 1)
                {
                    labels.Add(Encoding.ASCII.GetString(question, at + 1, question[at]));
                }

                asked.Add(string.Join('.', labels));
                List<byte> answer = [.. question[..2], 0x81, 0x80, 0, 1, 0, (byte)records.Length, 0, 0, 0, 0, .. question[12..]];
                foreach (var (priority, port) in records)
                {
                    var number = new byte[2];
                    BinaryPrimitives.WriteUInt16BigEndian(number, (ushort)port);
                    byte[] target = [3, .. "127"u8, 1, (byte)'0', 1, (byte)'0', 1, (byte)'1', 0];
                    answer.AddRange([0xC0, 12, 0, 33, 0, 1, 0, 0, 0, 9, 0, (byte)(6 + target.Length), 0, (byte)priority, 0, 0, .. number, .. target]);
                }

                await socket.SendToAsync(answer.ToArray(), received.RemoteEndPoint, ct);
            }
        }
        catch (OperationCanceledException)
        {
            return asked;
        }
    }
}
