using VoicePlatform.MediaServer.Sip.Signalling;
using VoicePlatform.Tests.Support;

namespace VoicePlatform.Tests.MediaServer.Sip;

/// <summary>RFC 3261's rules for callers, each against a peer that does what only a bad network or a strange callee does.</summary>
[TestFixture]
internal sealed class CallerRulesTests
{
    [Test]
    public async Task A_lost_invite_is_sent_again_with_growing_pauses_and_given_up_in_the_end()
    {
        var clock = new ManualTime();
        await using var alice = TestAgent.Start(options: new UserAgentOptions { Port = 0, StopTimeout = TimeSpan.FromMilliseconds(1) }, clock: clock);
        using var peer = new WirePeer();
        var call = alice.Call(peer.Uri);
        var branches = new HashSet<string?> { (await peer.RequestAsync("INVITE")).TopVia!.Branch };
        foreach (var pauseMs in new[] { 500, 1_000, 2_000, 4_000, 8_000, 16_000 })
        {
            await SetAsync(pauseMs);
            clock.Advance(TimeSpan.FromMilliseconds(pauseMs - 1));
            Assert.That(await peer.CollectAsync(TimeSpan.FromMilliseconds(20)), Is.Empty);
            clock.Advance(TimeSpan.FromMilliseconds(1));
            branches.Add((await peer.RequestAsync("INVITE")).TopVia!.Branch);
        }

        await SetAsync(500);
        Assert.That(call.Outcome.IsCompleted, Is.False);
        clock.Advance(TimeSpan.FromMilliseconds(500));      // 64 × T1 in all
        var outcome = await call.Outcome.WaitAsync(TimeSpan.FromSeconds(5));

        Assert.That(branches, Has.Count.EqualTo(1));
        Assert.That((outcome as InviteOutcome.Unreachable)?.Kind, Is.EqualTo(UnreachableKind.NoResponse));

        // The copy is on the wire a moment before its timer is set anew.
        Task SetAsync(int ms) => TestAgent.EventuallyAsync(() => clock.IsSet(TimeSpan.FromMilliseconds(ms)), $"a timer of {ms} ms");
    }

    [Test]
    public async Task Every_copy_of_a_2xx_is_acknowledged_with_the_same_ack()
    {
        await using var alice = TestAgent.Start();
        using var peer = new WirePeer();
        var call = alice.Call(peer.Uri);
        var invite = await peer.RequestAsync("INVITE");

        peer.Reply(invite, 200, sdp: TestAgent.Answer);
        var first = await peer.RequestAsync("ACK");
        peer.Reply(invite, 200, sdp: TestAgent.Answer);
        var second = await peer.RequestAsync("ACK");

        Assert.That(first.CSeq, Is.EqualTo(new CSeq(invite.CSeq.Number, "ACK")));
        Assert.That(first.RequestUri, Is.EqualTo($"sip:bob@127.0.0.1:{peer.Port}"));
        Assert.That(first.TopVia!.Branch, Is.Not.EqualTo(invite.TopVia!.Branch));
        Assert.That(second.TopVia!.Branch, Is.EqualTo(first.TopVia!.Branch));
        Assert.That(await call.Outcome, Is.InstanceOf<InviteOutcome.Answered>());
    }

    [Test]
    public async Task A_refusal_is_acknowledged_in_the_invites_own_transaction_each_time_it_comes()
    {
        await using var alice = TestAgent.Start();
        using var peer = new WirePeer();
        var call = alice.Call(peer.Uri);
        var invite = await peer.RequestAsync("INVITE");

        peer.Reply(invite, 486);
        var first = await peer.RequestAsync("ACK");
        peer.Reply(invite, 486);
        await peer.RequestAsync("ACK");

        Assert.That(first.TopVia!.Branch, Is.EqualTo(invite.TopVia!.Branch));
        Assert.That(first.To!.Tag, Is.EqualTo("peer"));
        Assert.That(await call.Outcome, Is.InstanceOf<InviteOutcome.Refused>());
    }

    [Test]
    public async Task A_redirection_is_reported_and_not_followed()
    {
        await using var alice = TestAgent.Start();
        using var peer = new WirePeer();
        var call = alice.Call(peer.Uri);

        peer.Reply(await peer.RequestAsync("INVITE"), 302, headers: ("Contact", "<sip:elsewhere@127.0.0.1:1>"));
        var outcome = (InviteOutcome.Refused)await call.Outcome;

        Assert.That((outcome.Status, outcome.Headers["Contact"]), Is.EqualTo((302, "<sip:elsewhere@127.0.0.1:1>")));
    }

    [Test]
    public async Task Cancel_waits_for_a_provisional_response_and_has_the_invites_branch()
    {
        await using var alice = TestAgent.Start();
        using var peer = new WirePeer();
        var call = alice.Call(peer.Uri);
        var invite = await peer.RequestAsync("INVITE");
        call.Cancel();
        Assert.That(await call.Outcome, Is.InstanceOf<InviteOutcome.Canceled>());
        Assert.That((await peer.CollectAsync(TimeSpan.FromMilliseconds(60))).OfType<SipRequest>().Select(r => r.Method), Is.All.EqualTo("INVITE"));

        peer.Reply(invite, 180);
        var cancel = await peer.RequestAsync("CANCEL");

        Assert.That(cancel.TopVia!.Branch, Is.EqualTo(invite.TopVia!.Branch));
        Assert.That(cancel.CSeq.Number, Is.EqualTo(invite.CSeq.Number));
        Assert.That(cancel.To!.Tag, Is.Null);
        peer.Reply(cancel, 200);
        peer.Reply(invite, 487);
        await peer.RequestAsync("ACK");
    }

    [Test]
    public async Task A_2xx_that_crosses_the_cancel_is_acknowledged_and_hung_up()
    {
        await using var alice = TestAgent.Start();
        using var peer = new WirePeer();
        var call = alice.Call(peer.Uri);
        var invite = await peer.RequestAsync("INVITE");
        peer.Reply(invite, 180);
        await TestAgent.EventuallyAsync(() => alice.Agent.Counters.Messages > 0, "it rings");
        call.Cancel();
        await peer.RequestAsync("CANCEL");

        peer.Reply(invite, 200, sdp: TestAgent.Answer);

        await peer.RequestAsync("ACK");
        var bye = await peer.RequestAsync("BYE");
        Assert.That(bye.To!.Tag, Is.EqualTo("peer"));
        Assert.That(await call.Outcome, Is.InstanceOf<InviteOutcome.Canceled>());
    }

    [Test]
    public async Task Of_two_forks_that_answer_the_first_is_kept_and_the_other_hung_up()
    {
        await using var alice = TestAgent.Start();
        using var peer = new WirePeer();
        var observer = new RecordingObserver();
        var call = alice.Call(peer.Uri, observer);
        var invite = await peer.RequestAsync("INVITE");
        peer.Reply(invite, 183, "one", TestAgent.Answer);
        peer.Reply(invite, 180, "two");
        peer.Reply(invite, 200, "two", TestAgent.Answer);
        await peer.RequestAsync("ACK");
        peer.Reply(invite, 200, "one", TestAgent.Answer);

        var ack = await peer.RequestAsync("ACK");
        var bye = await peer.RequestAsync("BYE");

        Assert.That((ack.To!.Tag, bye.To!.Tag, call.RemoteTag), Is.EqualTo(("one", "one", "two")));
        Assert.That(observer.Progress.Select(p => p.Status), Is.EquivalentTo(new[] { 183, 180 }));
        Assert.That(call.Ended.IsCancellationRequested, Is.False);
    }

    [Test]
    public async Task Requests_follow_the_record_route_reversed_and_a_strict_router_gets_its_own_form()
    {
        await using var alice = TestAgent.Start();
        using var peer = new WirePeer();
        foreach (var isStrict in new[] { false, true })
        {
            var lr = isStrict ? "" : ";lr";
            var call = alice.Call(peer.Uri);
            var invite = await peer.RequestAsync("INVITE");
            peer.Reply(invite, 200, "t", TestAgent.Answer, ("Record-Route", $"<sip:far.example{lr}>, <sip:near@127.0.0.1:{peer.Port}{lr}>"), ("Contact", "<sip:target@192.0.2.1:9>"));
            await call.Outcome;
            var ack = await peer.RequestAsync("ACK");

            // WirePeer writes its own Contact last: the first one counts.
            var routes = ack.Headers.All("Route").ToList();
            Assert.That(ack.RequestUri, Is.EqualTo(isStrict ? $"sip:near@127.0.0.1:{peer.Port}" : "sip:target@192.0.2.1:9"));
            Assert.That(routes, Is.EqualTo(isStrict
                ? new[] { "<sip:far.example>", "<sip:target@192.0.2.1:9>" }
                : [$"<sip:near@127.0.0.1:{peer.Port};lr>", "<sip:far.example;lr>"]));
        }
    }

    [Test]
    public async Task A_challenge_is_answered_once_and_again_only_when_the_nonce_was_stale()
    {
        await using var alice = TestAgent.Start();
        using var peer = new WirePeer();
        var call = alice.Call(peer.Uri, with: i => i with { AuthUsername = "u", AuthPassword = "p" });
        var first = await peer.RequestAsync("INVITE");
        peer.Reply(first, 407, headers: ("Proxy-Authenticate", "Digest realm=\"r\", nonce=\"n1\", algorithm=MD5, qop=\"auth,auth-int\", opaque=\"o\""));
        var second = await NextInviteAsync(peer, first);
        peer.Reply(second, 407, headers: ("Proxy-Authenticate", "Digest realm=\"r\", nonce=\"n2\", stale=true, algorithm=MD5, qop=\"auth\""));
        var third = await NextInviteAsync(peer, second);
        peer.Reply(third, 407, headers: ("Proxy-Authenticate", "Digest realm=\"r\", nonce=\"n3\", stale=true, algorithm=MD5, qop=\"auth\""));
        var outcome = await call.Outcome;

        Assert.That(second.CSeq.Number, Is.EqualTo(first.CSeq.Number + 1));
        Assert.That((second.CallId, second.From!.Tag), Is.EqualTo((first.CallId, first.From!.Tag)));
        Assert.That(second.Headers["Proxy-Authorization"], Does.Contain("nonce=\"n1\"").And.Contain("nc=00000001").And.Contain("qop=auth,").And.Contain("opaque=\"o\""));
        Assert.That(third.Headers["Proxy-Authorization"], Does.Contain("nonce=\"n2\""));
        Assert.That((outcome as InviteOutcome.Refused)?.Status, Is.EqualTo(407));
    }

    [Test]
    public async Task The_credentials_of_the_invite_are_in_its_ack_and_a_challenged_bye_is_answered()
    {
        await using var alice = TestAgent.Start();
        using var peer = new WirePeer();
        var call = alice.Call(peer.Uri, with: i => i with { AuthUsername = "u", AuthPassword = "p" });
        var first = await peer.RequestAsync("INVITE");
        peer.Reply(first, 401, headers: ("WWW-Authenticate", "Digest realm=\"r\", nonce=\"n1\""));
        var second = await NextInviteAsync(peer, first);
        peer.Reply(second, 200, sdp: TestAgent.Answer);
        var ack = await peer.RequestAsync("ACK");
        Assert.That(ack.Headers["Authorization"], Is.EqualTo(second.Headers["Authorization"]).And.Not.Null);

        var hangingUp = call.HangUpAsync();
        var bye = await peer.RequestAsync("BYE");
        peer.Reply(bye, 401, headers: ("WWW-Authenticate", "Digest realm=\"r\", nonce=\"n2\""));
        SipRequest again;
        do
        {
            again = await peer.RequestAsync("BYE");
        }
        while (again.CSeq == bye.CSeq);
        peer.Reply(again, 200);

        Assert.That(again.Headers["Authorization"], Does.Contain("nonce=\"n2\""));
        await hangingUp.WaitAsync(TimeSpan.FromSeconds(5));
    }

    [Test]
    public async Task A_longer_session_interval_is_taken_over_from_422()
    {
        await using var alice = TestAgent.Start();
        using var peer = new WirePeer();
        _ = alice.Call(peer.Uri);
        var first = await peer.RequestAsync("INVITE");
        peer.Reply(first, 422, headers: ("Min-SE", "7200"));

        var second = await NextInviteAsync(peer, first);

        Assert.That((first.Headers["Session-Expires"], second.Headers["Session-Expires"]), Is.EqualTo(("1800", "7200")));
    }

    [Test]
    public async Task An_answer_without_sdp_is_hung_up_unless_the_same_callee_sent_it_early()
    {
        await using var alice = TestAgent.Start();
        using var peer = new WirePeer();
        var early = alice.Call(peer.Uri);
        var invite = await peer.RequestAsync("INVITE");
        peer.Reply(invite, 183, "t", TestAgent.Answer);
        peer.Reply(invite, 200, "t");
        Assert.That((await early.Outcome as InviteOutcome.Answered)?.Sdp, Is.EqualTo(TestAgent.Answer));
        await peer.RequestAsync("ACK");

        var never = alice.Call(peer.Uri);
        peer.Reply(await peer.RequestAsync("INVITE"), 200, "t");

        Assert.That((await never.Outcome as InviteOutcome.Unreachable)?.Kind, Is.EqualTo(UnreachableKind.Protocol));
        await peer.RequestAsync("ACK");
        await peer.RequestAsync("BYE");
    }

    [Test]
    public void Headers_that_are_the_calls_own_or_would_add_lines_are_refused()
    {
        var agent = new UserAgent(TestAgent.Quick, null!, TimeProvider.System, Microsoft.Extensions.Logging.Abstractions.NullLoggerFactory.Instance);
        foreach (var header in new[] { ("Via", "x"), ("v", "x"), ("X-A", "b\r\nVia: c"), ("X A", "b"), ("Content-Length", "7") })
        {
            Assert.Throws<SipException>(
                () => agent.Invite(new OutgoingInvite { Target = SipUri.Parse("sip:a@b"), FromUser = "c", Offer = "", Headers = [header] }, new RecordingObserver()),
                header.Item1);
        }
    }

    [Test]
    public async Task Whoever_cannot_be_reached_is_told_apart()
    {
        await using var alice = TestAgent.Start(options: TestAgent.Quick with { ConnectTimeout = TimeSpan.FromSeconds(1) });
        await using var bob = TestAgent.Start();
        using var silent = new WirePeer();
        int closed;
        using (var gone = new WirePeer())
        {
            closed = gone.Port;
        }

        var results = new Dictionary<string, SipResponseSummary>
        {
            ["name"] = await alice.Agent.PingAsync(SipUri.Parse("sip:nowhere.invalid:5060"), SipTransport.Udp, CancellationToken.None),
            ["refused"] = await alice.Agent.PingAsync(SipUri.Parse($"sip:127.0.0.1:{closed}"), SipTransport.Tcp, CancellationToken.None),
            ["tls"] = await alice.Agent.PingAsync(SipUri.Parse($"sip:127.0.0.1:{bob.Agent.Port}"), SipTransport.Tls, CancellationToken.None),
            ["refused by UDP"] = await alice.Agent.PingAsync(SipUri.Parse($"sip:127.0.0.1:{closed}"), SipTransport.Udp, CancellationToken.None),
            ["silent"] = await alice.Agent.PingAsync(SipUri.Parse($"sip:127.0.0.1:{silent.Port}"), SipTransport.Udp, CancellationToken.None),
            ["answered"] = await alice.Agent.PingAsync(bob.Uri(), null, CancellationToken.None),
        };

        Assert.That(results["name"].Failure, Is.EqualTo(UnreachableKind.NameNotResolved));
        Assert.That(results["refused"].Failure, Is.EqualTo(UnreachableKind.ConnectionRefused));
        Assert.That(results["refused by UDP"].Failure, Is.EqualTo(UnreachableKind.ConnectionRefused));
        Assert.That(results["tls"].Failure, Is.EqualTo(UnreachableKind.Tls));
        Assert.That(results["silent"].Failure, Is.EqualTo(UnreachableKind.NoResponse));
        Assert.That((results["answered"].Status, results["answered"].Headers["Allow"]), Is.EqualTo((200, SipStack.Allow)));
        Assert.That(results.Values.Select(r => r.Message), Is.All.EndsWith("."));
    }

    internal static async Task<SipRequest> NextInviteAsync(WirePeer peer, SipRequest before)
    {
        while (true)
        {
            if (await peer.RequestAsync("INVITE") is { } invite && invite.CSeq.Number != before.CSeq.Number)
            {
                return invite;
            }
        }
    }
}
