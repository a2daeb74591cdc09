using System.Net;
using System.Net.Sockets;
using System.Text;
using VoicePlatform.MediaServer.Sip.Signalling;

namespace VoicePlatform.Tests.MediaServer.Sip;

/// <summary>Whatever comes in, others' calls go on and nothing piles up.</summary>
[TestFixture]
internal sealed class HostilePeerTests
{
    [Test]
    public async Task Mutated_requests_and_responses_take_nothing_down()
    {
        await using var alice = TestAgent.Start(options: TestAgent.Quick with { RequestsPerSecondPerSource = 100_000, InvitesPerSecond = 100_000 });
        await using var bob = TestAgent.Start();
        var observer = new RecordingObserver();
        var standing = bob.Call(alice.Uri(), observer);
        Assert.That(await standing.Outcome, Is.InstanceOf<InviteOutcome.Answered>());

        using var mallory = new WirePeer();
        var port = alice.Agent.Port;
        var ringing = alice.Call(mallory.Uri);
        var invite = await mallory.RequestAsync("INVITE");
        var random = new Random(3261);
        var seeds = new[]
        {
            mallory.Request("INVITE", port, body: TestAgent.Offer, headers: "Supported: timer\r\nSession-Expires: 90\r\n"),
            mallory.Request("OPTIONS", port), mallory.Request("CANCEL", port), mallory.Request("ACK", port, toTag: "x"), mallory.Request("BYE", port, toTag: "x"),
            mallory.RequestIn(invite, "UPDATE", port, 7, "z9hG4bKm", body: TestAgent.Offer),
            Encoding.UTF8.GetString(SipWriter.Write(Replies.To(invite, 180, null, "m", "x", TestAgent.Answer))),
            Encoding.UTF8.GetString(SipWriter.Write(Replies.To(invite, 401, null, "m", "x"))).Replace("Server:", "WWW-Authenticate: Digest realm=\"a\", nonce=\"b\"\r\nServer:", StringComparison.Ordinal),
        }.Select(Encoding.UTF8.GetBytes).ToArray();
        for (var i = 0; i < 6_000; i++)
        {
            var bytes = seeds[random.Next(seeds.Length)].ToArray();
            for (var edits = random.Next(6); edits > 0; edits--)
            {
                bytes[random.Next(bytes.Length)] = (byte)(random.Next(3) == 0 ? random.Next(256) : "\r\n:;,<>\" =@0z"[random.Next(13)]);
            }

            mallory.Send(port, bytes.AsSpan(0, random.Next(8) == 0 ? random.Next(bytes.Length) : bytes.Length));
        }

        ringing.Cancel();
        Assert.That((await standing.ReInviteAsync(TestAgent.Offer, CancellationToken.None)).IsAccepted, Is.True);
        Assert.That(observer.HangUps, Is.Empty);
        await TestAgent.EventuallyAsync(() => alice.Agent.Counters is { Rubbish: > 100, Malformed: > 100 }, "most of it was refused");
        Assert.That(alice.Agent.Counters.Faults, Is.Zero);
        await TestAgent.EventuallyAsync(() => alice.Agent.Kept is (0, <= 1, <= 1) && alice.Agent.CallCount == 1, "all of it is forgotten");
    }

    [Test]
    public async Task A_peer_that_asks_without_end_inside_its_call_is_held_to_a_number_at_a_time()
    {
        await using var alice = TestAgent.Start(options: TestAgent.Quick with { T1 = TimeSpan.FromMilliseconds(100) });
        using var peer = new WirePeer();
        var call = alice.Call(peer.Uri);
        var invite = await peer.RequestAsync("INVITE");
        peer.Reply(invite, 200, sdp: TestAgent.Answer);
        await peer.RequestAsync("ACK");
        await call.Outcome;
        for (var i = 0; i < 500; i++)
        {
            peer.Send(alice.Agent.Port, peer.RequestIn(invite, "INFO", alice.Agent.Port, 10 + i, "z9hG4bKi" + i));
            if (i % 50 == 49)
            {
                // No more than the socket's buffer holds.
                await TestAgent.EventuallyAsync(() => alice.Agent.Counters.Messages > i, "they were read");
            }
        }

        await TestAgent.EventuallyAsync(() => alice.Agent.Counters.DroppedFull >= 436, "what is over the limit is dropped");
        Assert.That(alice.Agent.Kept.Servers, Is.LessThanOrEqualTo(64));
        Assert.That(call.Ended.IsCancellationRequested, Is.False);
    }

    [Test]
    public async Task One_address_may_hold_only_so_many_connections()
    {
        await using var alice = TestAgent.Start(options: TestAgent.Quick with { MaxConnections = 16 });
        var clients = new List<TcpClient>();
        try
        {
            for (var i = 0; i < 10; i++)
            {
                var client = new TcpClient();
                clients.Add(client);
                await client.ConnectAsync(IPAddress.Loopback, alice.Agent.Port);
            }

            await TestAgent.EventuallyAsync(() => alice.Agent.Counters.ConnectionsRefused == 8 && alice.Agent.Kept.Connections == 2, "two are held");
        }
        finally
        {
            clients.ForEach(c => c.Dispose());
        }

        await TestAgent.EventuallyAsync(() => alice.Agent.Kept.Connections == 0, "and let go");
        using var later = new TcpClient();
        await later.ConnectAsync(IPAddress.Loopback, alice.Agent.Port);
        await TestAgent.EventuallyAsync(() => alice.Agent.Kept.Connections == 1, "there is room again");
    }

    [Test]
    public async Task A_request_to_a_peer_that_connected_goes_back_by_its_connection()
    {
        await using var alice = TestAgent.Start();
        using var tcp = new TcpClient();
        await tcp.ConnectAsync(IPAddress.Loopback, alice.Agent.Port);
        var stream = tcp.GetStream();
        using var reader = new StreamReader(stream);
        // A contact nobody could reach, as behind a NAT.
        var head = "From: <sip:b@x>;tag=f\r\nCall-ID: nat\r\nContact: <sip:b@10.99.99.99:9;transport=tcp>\r\nMax-Forwards: 70\r\n";
        await stream.WriteAsync(Encoding.UTF8.GetBytes($"INVITE sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 10.99.99.99:9;branch=z9hG4bKn1\r\nTo: <sip:a@x>\r\nCSeq: 1 INVITE\r\n{head}Content-Type: application/sdp\r\nContent-Length: {TestAgent.Offer.Length}\r\n\r\n{TestAgent.Offer}"));
        string line, to = "";
        do
        {
            line = await LineAsync(reader);
            to = line.StartsWith("To:", StringComparison.Ordinal) ? line : to;
        }
        while (!line.StartsWith("m=audio", StringComparison.Ordinal));
        await stream.WriteAsync(Encoding.UTF8.GetBytes($"ACK sip:a@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/TCP 10.99.99.99:9;branch=z9hG4bKn2\r\n{to}\r\nCSeq: 1 ACK\r\n{head}Content-Length: 0\r\n\r\n"));
        await TestAgent.EventuallyAsync(() => alice.Calls.Single() is { } c && c.ReInviteAsync("", CancellationToken.None) is { IsCompleted: false }, "the call stands");

        do
        {
            line = await LineAsync(reader);
        }
        while (!line.StartsWith("INVITE ", StringComparison.Ordinal));
        Assert.That(line, Is.EqualTo("INVITE sip:b@10.99.99.99:9;transport=tcp SIP/2.0"));
        Assert.That(alice.Agent.Kept.Connections, Is.EqualTo(1));
    }

    private static async Task<string> LineAsync(StreamReader reader)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20), TimeProvider.System);
        return await reader.ReadLineAsync(patience.Token) ?? throw new InvalidOperationException("The connection was closed.");
    }
}
