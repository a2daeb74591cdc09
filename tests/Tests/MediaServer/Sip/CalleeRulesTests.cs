using System.Net;
using System.Net.Sockets;
using System.Text;
using VoicePlatform.MediaServer.Sip.Signalling;
using VoicePlatform.Tests.Support;

namespace VoicePlatform.Tests.MediaServer.Sip;

/// <summary>RFC 3261's rules for whoever is called, and what strangers get.</summary>
[TestFixture]
internal sealed class CalleeRulesTests
{
    // What is not acknowledged is sent again every 200 ms at the latest, for 6.4 s: silence before that is the ACK's doing.
    private static readonly UserAgentOptions Patient = TestAgent.Quick with { T1 = TimeSpan.FromMilliseconds(100), T2 = TimeSpan.FromMilliseconds(200) };

    [Test]
    public async Task A_2xx_is_repeated_until_its_ack_comes_and_copies_of_the_invite_make_no_second_call()
    {
        await using var alice = TestAgent.Start(options: Patient);
        using var peer = new WirePeer();
        var invite = peer.Request("INVITE", alice.Agent.Port, body: TestAgent.Offer);
        peer.Send(alice.Agent.Port, invite);
        peer.Send(alice.Agent.Port, invite);
        await peer.ResponseAsync();
        var first = await AnswerAsync(peer);
        var second = await AnswerAsync(peer);

        peer.Send(alice.Agent.Port, peer.Request("ACK", alice.Agent.Port, "z9hG4bKack", toTag: first.To!.Tag));

        Assert.That(second.To!.Tag, Is.EqualTo(first.To!.Tag));
        await TestAgent.EventuallyAsync(() => alice.Agent.CallCount == 1, "the call stands");
        Assert.That(await FallsSilentAsync(peer), Is.True);
        Assert.That(alice.Calls, Has.Count.EqualTo(1));
    }

    [Test]
    public async Task An_answer_that_is_never_acknowledged_is_hung_up_and_fails()
    {
        Exception? failure = null;
        var observer = new RecordingObserver();
        await using var alice = TestAgent.Start(async (call, _) =>
        {
            call.Observer = observer;
            try
            {
                await call.AnswerAsync(TestAgent.Answer);
            }
            catch (SipException e)
            {
                failure = e;
            }
        });
        using var peer = new WirePeer();
        peer.Send(alice.Agent.Port, peer.Request("INVITE", alice.Agent.Port, body: TestAgent.Offer));

        var bye = await peer.RequestAsync("BYE");
        peer.Reply(bye, 200);

        Assert.That(bye.To!.Tag, Is.EqualTo("f1"));
        await TestAgent.EventuallyAsync(() => failure is not null, "whoever answered is told");
        Assert.That(observer.HangUps.Single().Cause, Is.EqualTo(HangUpCause.NoAck));
    }

    [Test]
    public async Task An_invite_without_sdp_gets_our_offer_and_the_answer_comes_with_the_ack()
    {
        string? answer = null;
        await using var alice = TestAgent.Start(async (call, _) =>
        {
            Assert.That(call.Offer, Is.Null);
            answer = await call.AnswerAsync(TestAgent.Offer);
        });
        using var peer = new WirePeer();
        peer.Send(alice.Agent.Port, peer.Request("INVITE", alice.Agent.Port));
        var ok = await AnswerAsync(peer);
        peer.Send(alice.Agent.Port, peer.Request("ACK", alice.Agent.Port, "z9hG4bKack", toTag: ok.To!.Tag, body: TestAgent.Answer));

        await TestAgent.EventuallyAsync(() => answer == TestAgent.Answer, "the answer is handed over");
        Assert.That(ok.Body, Is.EqualTo(TestAgent.Offer));
    }

    [Test]
    public async Task A_refusal_before_any_provisional_response_is_repeated_only_when_asked_again()
    {
        var clock = new ManualTime();
        await using var alice = TestAgent.Start((call, _) =>
        {
            call.Reject(403, null);
            return Task.CompletedTask;
        }, clock: clock);
        using var peer = new WirePeer();
        var invite = peer.Request("INVITE", alice.Agent.Port, body: TestAgent.Offer);
        peer.Send(alice.Agent.Port, invite);
        Assert.That((await peer.ReceiveAsync() as SipResponse)?.Status, Is.EqualTo(403));
        clock.Advance(TimeSpan.FromMilliseconds(300));
        Assert.That(await peer.CollectAsync(TimeSpan.FromMilliseconds(100)), Is.Empty);

        peer.Send(alice.Agent.Port, invite);
        var again = await peer.ResponseAsync();
        Assert.That(again.Status, Is.EqualTo(403));
        Assert.That(alice.Calls, Has.Count.EqualTo(1));
    }

    [Test]
    public async Task A_refusal_after_ringing_is_repeated_until_its_ack()
    {
        await using var alice = TestAgent.Start((call, _) =>
        {
            call.Ring();
            call.Reject(486, null);
            return Task.CompletedTask;
        }, Patient);
        using var peer = new WirePeer();
        peer.Send(alice.Agent.Port, peer.Request("INVITE", alice.Agent.Port, body: TestAgent.Offer));
        await peer.ResponseAsync();
        var first = await peer.ResponseAsync();
        await peer.ResponseAsync();

        peer.Send(alice.Agent.Port, peer.Request("ACK", alice.Agent.Port, toTag: first.To!.Tag));
        Assert.That(await FallsSilentAsync(peer), Is.True);
    }

    [Test]
    public async Task A_slow_decision_is_bridged_by_100_trying()
    {
        await using var alice = TestAgent.Start((_, ct) => Task.Delay(TimeSpan.FromMilliseconds(400), TimeProvider.System, ct));
        using var peer = new WirePeer();
        peer.Send(alice.Agent.Port, peer.Request("INVITE", alice.Agent.Port, body: TestAgent.Offer));

        var trying = (SipResponse)await peer.ReceiveAsync();
        Assert.That((trying.Status, trying.To!.Tag), Is.EqualTo((100, (string?)null)));
        Assert.That((await peer.ResponseAsync()).Status, Is.EqualTo(480));
    }

    [TestCase("INVITE sip:a@127.0.0.1 SIP/3.0", "", 505)]
    [TestCase("INVITE http://a SIP/2.0", "", 416)]
    [TestCase("INVITE sip:@@ SIP/2.0", "", 400)]
    [TestCase("INVITE sip:a@127.0.0.1 SIP/2.0", "Require: 100rel, x\r\n", 420, "Unsupported", "100rel, x")]
    [TestCase("INVITE sip:a@127.0.0.1 SIP/2.0", "Max-Forwards: 0\r\n", 483)]
    [TestCase("INVITE sip:a@127.0.0.1 SIP/2.0", "Max-Forwards: many\r\n", 400)]
    [TestCase("INVITE sip:a@127.0.0.1 SIP/2.0", "From: <sip:second@x>\r\n", 400)]
    [TestCase("INVITE sip:a@127.0.0.1 SIP/2.0", "Supported: timer\r\nSession-Expires: 30\r\n", 422, "Min-SE", "90")]
    [TestCase("REGISTER sip:127.0.0.1 SIP/2.0", "", 405, "Allow", SipStack.Allow)]
    [TestCase("FROBNICATE sip:127.0.0.1 SIP/2.0", "", 405, "Allow", SipStack.Allow)]
    [TestCase("OPTIONS sip:a@127.0.0.1 SIP/2.0", "", 200, "Accept", "application/sdp")]
    [TestCase("CANCEL sip:a@127.0.0.1 SIP/2.0", "", 481)]
    public async Task Strangers_get_one_short_answer(string start, string headers, int status, string? header = null, string? value = null)
    {
        await using var alice = TestAgent.Start();
        using var peer = new WirePeer();
        var text = peer.Request(start.Split(' ')[0], alice.Agent.Port, headers: headers);
        if (headers.StartsWith("Max-Forwards", StringComparison.Ordinal))
        {
            text = text.Replace("Max-Forwards: 70\r\n", "", StringComparison.Ordinal);
        }

        peer.Send(alice.Agent.Port, start + text[text.IndexOf("\r\n", StringComparison.Ordinal)..]);
        var answer = (SipResponse)await peer.ReceiveAsync();

        Assert.That(await peer.CollectAsync(TimeSpan.FromMilliseconds(100)), Is.Empty);
        Assert.That((answer.Status, header is null ? null : answer.Headers[header]), Is.EqualTo((status, value)));
        Assert.That(answer.To!.Tag, Is.Not.Null);
        Assert.That(answer.TopVia!.Rport, Is.EqualTo(peer.Port));
        Assert.That(alice.Calls, Is.Empty);
        Assert.That(alice.Agent.Kept, Is.EqualTo((0, 0, 0)));
    }

    [Test]
    public async Task A_body_that_is_no_sdp_gets_415_and_a_multipart_one_is_searched()
    {
        await using var alice = TestAgent.Start();
        using var peer = new WirePeer();
        peer.Send(alice.Agent.Port, peer.Request("INVITE", alice.Agent.Port, body: "hello").Replace("application/sdp", "text/plain", StringComparison.Ordinal));
        Assert.That((await peer.ResponseAsync()).Status, Is.EqualTo(415));

        var body = $"--b1\r\nContent-Type: text/plain\r\n\r\nx\r\n--b1\r\nContent-Type: application/sdp\r\n\r\n{TestAgent.Offer}\r\n--b1--";
        peer.Send(alice.Agent.Port, peer.Request("INVITE", alice.Agent.Port, "z9hG4bKmulti", "call-2", body: body).Replace("application/sdp\r\nContent-Length", "multipart/mixed;boundary=b1\r\nContent-Length", StringComparison.Ordinal));
        await AnswerAsync(peer);
        Assert.That(alice.Calls.Single().Offer!.Trim(), Is.EqualTo(TestAgent.Offer.Trim()));
    }

    [Test]
    public async Task The_same_call_by_another_way_is_482_and_a_request_of_no_call_481()
    {
        await using var alice = TestAgent.Start();
        using var peer = new WirePeer();
        peer.Send(alice.Agent.Port, peer.Request("INVITE", alice.Agent.Port, "z9hG4bKone", body: TestAgent.Offer));
        var ok = await AnswerAsync(peer);
        peer.Send(alice.Agent.Port, peer.Request("ACK", alice.Agent.Port, "z9hG4bKack", toTag: ok.To!.Tag));

        peer.Send(alice.Agent.Port, peer.Request("INVITE", alice.Agent.Port, "z9hG4bKtwo", body: TestAgent.Offer));
        Assert.That((await peer.ResponseAsync("z9hG4bKtwo")).Status, Is.EqualTo(482));
        peer.Send(alice.Agent.Port, peer.Request("BYE", alice.Agent.Port, "z9hG4bKthree", toTag: "guess", cseq: 2));
        Assert.That((await peer.ResponseAsync("z9hG4bKthree")).Status, Is.EqualTo(481));
        peer.Send(alice.Agent.Port, peer.Request("BYE", alice.Agent.Port, "z9hG4bKfour", fromTag: "guess", toTag: ok.To!.Tag, cseq: 2));
        Assert.That((await peer.ResponseAsync("z9hG4bKfour")).Status, Is.EqualTo(481));
        peer.Send(alice.Agent.Port, peer.Request("INFO", alice.Agent.Port, "z9hG4bKfive", toTag: ok.To!.Tag, cseq: 1));
        Assert.That((await peer.ResponseAsync("z9hG4bKfive")).Status, Is.EqualTo(500));
        Assert.That(alice.Agent.CallCount, Is.EqualTo(1));
    }

    [Test]
    public async Task In_a_call_info_options_and_update_are_taken_and_what_is_not_ours_is_refused()
    {
        await using var alice = TestAgent.Start();
        using var peer = new WirePeer();
        var observer = new RecordingObserver();
        var call = alice.Call(peer.Uri, observer);
        var invite = await peer.RequestAsync("INVITE");
        peer.Reply(invite, 200, sdp: TestAgent.Answer);
        await peer.RequestAsync("ACK");
        var cseq = 10;
        async Task<int> AskAsync(string method, string body = "", string headers = "", string type = "application/sdp")
        {
            cseq++;
            peer.Send(alice.Agent.Port, peer.RequestIn(invite, method, alice.Agent.Port, cseq, "z9hG4bKin" + cseq, body: body, headers: headers, bodyType: type));
            return (await peer.ResponseAsync()).Status;
        }

        Assert.That(await AskAsync("INFO", "Signal=5", type: "application/dtmf-relay"), Is.EqualTo(200));
        Assert.That(await AskAsync("OPTIONS"), Is.EqualTo(200));
        Assert.That(await AskAsync("UPDATE"), Is.EqualTo(200));
        Assert.That(observer.Offers, Is.Empty);
        Assert.That(await AskAsync("UPDATE", TestAgent.Offer), Is.EqualTo(200));
        Assert.That(observer.Offers, Has.Count.EqualTo(1));
        Assert.That(await AskAsync("REFER", headers: "Refer-To: <sip:x@y>\r\n"), Is.EqualTo(603));
        Assert.That(await AskAsync("NOTIFY", headers: "Event: refer\r\n"), Is.EqualTo(481));
        Assert.That(await AskAsync("MESSAGE"), Is.EqualTo(405));
        Assert.That(await AskAsync("INFO", headers: "Require: magic\r\n"), Is.EqualTo(420));
        Assert.That(await AskAsync("BYE"), Is.EqualTo(200));
        Assert.That(observer.Infos.Single(), Is.EqualTo(("application/dtmf-relay", "Signal=5")));
        await TestAgent.EventuallyAsync(() => call.Ended.IsCancellationRequested, "the call is over");
    }

    [Test]
    public async Task A_re_invite_without_sdp_gets_our_offer_and_one_of_ours_under_way_gets_491()
    {
        await using var alice = TestAgent.Start();
        using var peer = new WirePeer();
        var observer = new RecordingObserver { Reply = offer => offer is null ? TestAgent.Offer : TestAgent.Answer };
        var call = alice.Call(peer.Uri, observer);
        var invite = await peer.RequestAsync("INVITE");
        peer.Reply(invite, 200, sdp: TestAgent.Answer);
        await peer.RequestAsync("ACK");

        peer.Send(alice.Agent.Port, peer.RequestIn(invite, "INVITE", alice.Agent.Port, 11, "z9hG4bKre"));
        var ok = await peer.ResponseAsync();
        peer.Send(alice.Agent.Port, peer.RequestIn(invite, "ACK", alice.Agent.Port, 11, "z9hG4bKreack", body: TestAgent.Answer + "a=x\r\n"));
        await TestAgent.EventuallyAsync(() => !observer.Answers.IsEmpty, "the ACK's answer is handed over");
        Assert.That((ok.Body, observer.Answers.Single()), Is.EqualTo((TestAgent.Offer, TestAgent.Answer + "a=x\r\n")));

        var changing = call.ReInviteAsync(TestAgent.Offer, CancellationToken.None);
        var ours = await CallerRulesTests.NextInviteAsync(peer, invite);
        peer.Send(alice.Agent.Port, peer.RequestIn(invite, "INVITE", alice.Agent.Port, 12, "z9hG4bKglare", body: TestAgent.Offer));
        Assert.That((await peer.ResponseAsync()).Status, Is.EqualTo(491));
        peer.Reply(ours, 200, sdp: TestAgent.Answer);
        Assert.That((await changing).IsAccepted, Is.True);
    }

    [Test]
    public async Task A_change_that_meets_a_fault_of_ours_is_answered_and_ends_the_call()
    {
        await using var alice = TestAgent.Start();
        using var peer = new WirePeer();
        _ = alice.Call(peer.Uri, new RecordingObserver { Reply = _ => throw new InvalidOperationException("a bug") });
        var invite = await peer.RequestAsync("INVITE");
        peer.Reply(invite, 200, sdp: TestAgent.Answer);
        await peer.RequestAsync("ACK");

        peer.Send(alice.Agent.Port, peer.RequestIn(invite, "INVITE", alice.Agent.Port, 11, "z9hG4bKre", body: TestAgent.Offer));

        Assert.That((await peer.ResponseAsync("z9hG4bKre")).Status, Is.EqualTo(500));
        peer.Reply(await peer.RequestAsync("BYE"), 200);
    }

    [Test]
    public async Task A_transfer_is_followed_by_its_reports_to_the_end()
    {
        await using var alice = TestAgent.Start();
        using var peer = new WirePeer();
        var call = alice.Call(peer.Uri);
        var invite = await peer.RequestAsync("INVITE");
        peer.Reply(invite, 200, sdp: TestAgent.Answer);
        await peer.RequestAsync("ACK");
        var cseq = 20;
        void Report(string fragment, string state) => peer.Send(alice.Agent.Port, peer.RequestIn(
            invite, "NOTIFY", alice.Agent.Port, ++cseq, "z9hG4bKn" + cseq, body: fragment, headers: $"Event: refer\r\nSubscription-State: {state}\r\n", bodyType: "message/sipfrag"));
        async Task<ReferOutcome> ReferAsync(TimeSpan timeout, params (string Fragment, string State)[] reports)
        {
            var transfer = call.ReferAsync("sip:carol@example.com", [], timeout, CancellationToken.None);
            var refer = await peer.RequestAsync("REFER");
            Assert.That(refer.Headers["Refer-To"], Is.EqualTo("<sip:carol@example.com>"));
            peer.Reply(refer, 202);
            foreach (var (fragment, state) in reports)
            {
                Report(fragment, state);
                Assert.That((await peer.ResponseAsync()).Status, Is.EqualTo(200));
            }

            return await transfer;
        }

        var done = await ReferAsync(TimeSpan.FromSeconds(5), ("SIP/2.0 100 Trying\r\n", "active"), ("SIP/2.0 200 OK\r\n", "terminated;reason=noresource"));
        var busy = await ReferAsync(TimeSpan.FromSeconds(5), ("SIP/2.0 486 Busy Here\r\n", "terminated"));
        var silent = await ReferAsync(TimeSpan.FromMilliseconds(100));

        Assert.That(done, Is.EqualTo(new ReferOutcome(ReferKind.Reported, 200, "OK")));
        Assert.That((busy.Status, busy.IsTransferred), Is.EqualTo((486, false)));
        Assert.That(silent.Kind, Is.EqualTo(ReferKind.Unreported));
    }

    [Test]
    public async Task Limits_refuse_calls_with_503_and_floods_are_dropped_and_counted()
    {
        await using var alice = TestAgent.Start((call, ct) => Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, ct), TestAgent.Quick with { MaxCalls = 2 });
        using var peer = new WirePeer();
        for (var i = 0; i < 3; i++)
        {
            peer.Send(alice.Agent.Port, peer.Request("INVITE", alice.Agent.Port, "z9hG4bKl" + i, "limit-" + i, body: TestAgent.Offer));
        }

        var refused = await peer.ResponseAsync();
        Assert.That((refused.Status, refused.CallId, refused.Headers["Retry-After"]), Is.EqualTo((503, "limit-2", "5")));

        await using var bob = TestAgent.Start(options: TestAgent.Quick with { RequestsPerSecondPerSource = 2 });
        for (var i = 0; i < 100; i++)
        {
            peer.Send(bob.Agent.Port, peer.Request("OPTIONS", bob.Agent.Port, "z9hG4bKf" + i, "flood-" + i));
        }

        await TestAgent.EventuallyAsync(() => bob.Agent.Counters.DroppedFlood >= 80, "the flood is dropped");
        Assert.That(bob.Agent.Counters.DroppedFlood, Is.LessThanOrEqualTo(92));
    }

    [Test]
    public async Task A_stream_in_pieces_or_in_one_lump_is_the_same_and_pings_are_answered()
    {
        await using var alice = TestAgent.Start();
        using var peer = new WirePeer();
        using var tcp = new TcpClient();
        await tcp.ConnectAsync(IPAddress.Loopback, alice.Agent.Port);
        var stream = tcp.GetStream();
        var one = peer.Request("OPTIONS", alice.Agent.Port, "z9hG4bKt1", "tcp-1", body: "x");
        var two = peer.Request("OPTIONS", alice.Agent.Port, "z9hG4bKt2", "tcp-2");
        foreach (var octet in Encoding.UTF8.GetBytes("\r\n\r\n" + one))
        {
            await stream.WriteAsync(new[] { octet });
        }

        await stream.WriteAsync(Encoding.UTF8.GetBytes(two + "\r\n" + one.Replace("tcp-1", "tcp-3", StringComparison.Ordinal)));
        var text = "";
        var buffer = new byte[65_536];
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20), TimeProvider.System);
        while (!text.Contains("tcp-3", StringComparison.Ordinal))
        {
            text += Encoding.UTF8.GetString(buffer, 0, await stream.ReadAsync(buffer, patience.Token));
        }

        Assert.That(text, Does.StartWith("\r\nSIP/2.0 200 OK\r\n"));
        Assert.That(text.IndexOf("tcp-1", StringComparison.Ordinal), Is.LessThan(text.IndexOf("tcp-2", StringComparison.Ordinal)));
    }

    [TestCase("OPTIONS sip:a SIP/2.0\r\nCall-ID: no length\r\n\r\n")]
    [TestCase("OPTIONS sip:a SIP/2.0\r\nContent-Length: 999999\r\n\r\n")]
    [TestCase("OPTIONS sip:a SIP/2.0\r\nContent-Length: -1\r\n\r\n")]
    public async Task A_stream_that_cannot_be_followed_is_closed(string text)
    {
        await using var alice = TestAgent.Start();
        using var tcp = new TcpClient();
        await tcp.ConnectAsync(IPAddress.Loopback, alice.Agent.Port);
        var stream = tcp.GetStream();
        await stream.WriteAsync(Encoding.UTF8.GetBytes(text));
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(20), TimeProvider.System);

        Assert.That(await stream.ReadAsync(new byte[100], patience.Token), Is.Zero);
        await TestAgent.EventuallyAsync(() => alice.Agent.Kept.Connections == 0, "it is forgotten");
    }

    [Test]
    public async Task A_taken_port_is_named_in_one_sentence()
    {
        await using var alice = TestAgent.Start();
        var bob = new UserAgent(TestAgent.Quick with { Port = alice.Agent.Port }, alice, TimeProvider.System, Microsoft.Extensions.Logging.Abstractions.NullLoggerFactory.Instance);

        var refusal = Assert.Throws<VoicePlatform.MediaServer.Transport.TransportException>(bob.Start);

        Assert.That(refusal!.Message, Is.EqualTo($"TCP port {alice.Agent.Port} is in use: stop what uses it or set EMBEDDED_SIP_PORT."));
    }

    private static Task<bool> FallsSilentAsync(WirePeer peer) => peer.FallsSilentAsync(TimeSpan.FromMilliseconds(600), TimeSpan.FromSeconds(4));

    private static async Task<SipResponse> AnswerAsync(WirePeer peer)
    {
        while (true)
        {
            if (await peer.ResponseAsync() is { Status: 200 } ok)
            {
                return ok;
            }
        }
    }
}
