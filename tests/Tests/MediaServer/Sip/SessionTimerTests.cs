using VoicePlatform.MediaServer.Sip.Signalling;

namespace VoicePlatform.Tests.MediaServer.Sip;

/// <summary>RFC 4028, with seconds in place of half hours.</summary>
[TestFixture]
internal sealed class SessionTimerTests
{
    private static readonly UserAgentOptions FourSeconds = TestAgent.Quick with { SessionExpires = TimeSpan.FromSeconds(4), MinSessionExpires = TimeSpan.FromSeconds(1) };

    [Test]
    public async Task A_session_both_sides_keep_up_lasts()
    {
        await using var alice = TestAgent.Start(options: FourSeconds);
        await using var bob = TestAgent.Start(options: FourSeconds);
        var call = alice.Call(bob.Uri());
        await call.Outcome;
        var before = bob.Agent.Counters.Messages;

        await Task.Delay(TimeSpan.FromSeconds(8.8), TimeProvider.System);

        Assert.That(call.Ended.IsCancellationRequested, Is.False);
        Assert.That(bob.Agent.Counters.Messages + alice.Agent.Counters.Messages - before, Is.GreaterThanOrEqualTo(6));
        Assert.That(bob.Observers.Single().Offers, Is.Empty);       // by UPDATE: nothing is negotiated
    }

    [Test]
    public async Task A_peer_without_update_is_refreshed_by_the_same_offer_again()
    {
        await using var alice = TestAgent.Start(options: FourSeconds);
        using var peer = new WirePeer();
        var call = alice.Call(peer.Uri);
        var invite = await peer.RequestAsync("INVITE");
        Assert.That((invite.Headers["Session-Expires"], invite.Headers["Supported"]), Is.EqualTo(("4", "timer")));
        peer.Reply(invite, 200, "peer", TestAgent.Answer, ("Session-Expires", "4;refresher=uac"), ("Allow", "INVITE, ACK, BYE"));
        await peer.RequestAsync("ACK");

        var refresh = await CallerRulesTests.NextInviteAsync(peer, invite);
        peer.Reply(refresh, 200, "peer", TestAgent.Answer, ("Session-Expires", "4;refresher=uac"));
        await peer.RequestAsync("ACK");

        Assert.That((refresh.Body, refresh.Headers["Session-Expires"], refresh.To!.Tag), Is.EqualTo((TestAgent.Offer, "4;refresher=uac", "peer")));
        await CallerRulesTests.NextInviteAsync(peer, refresh);
        Assert.That(call.Ended.IsCancellationRequested, Is.False);
    }

    [Test]
    public async Task A_peer_that_stops_refreshing_is_hung_up_on_before_the_end()
    {
        await using var alice = TestAgent.Start(options: FourSeconds);
        using var peer = new WirePeer();
        var observer = new RecordingObserver();
        _ = alice.Call(peer.Uri, observer);
        peer.Reply(await peer.RequestAsync("INVITE"), 200, "peer", TestAgent.Answer, ("Session-Expires", "4;refresher=uas"));
        await peer.RequestAsync("ACK");

        peer.Reply(await peer.RequestAsync("BYE"), 200);

        await TestAgent.EventuallyAsync(() => !observer.HangUps.IsEmpty, "its owner hears of it");
        Assert.That(observer.HangUps.Single().Cause, Is.EqualTo(HangUpCause.SessionExpired));
    }

    [TestCase("9999999")]
    [TestCase("2147483647;refresher=uas")]
    public async Task An_answer_with_an_endless_session_is_an_answer(string expires)
    {
        await using var alice = TestAgent.Start();
        using var peer = new WirePeer();
        var call = alice.Call(peer.Uri);
        peer.Reply(await peer.RequestAsync("INVITE"), 200, "peer", TestAgent.Answer, ("Session-Expires", expires));
        Assert.That(await call.Outcome.WaitAsync(TimeSpan.FromSeconds(20)), Is.InstanceOf<InviteOutcome.Answered>());
        Assert.That(alice.Agent.Counters.Faults, Is.Zero);
    }

    [Test]
    public async Task A_refresh_that_meets_481_ends_the_call()
    {
        await using var alice = TestAgent.Start(options: FourSeconds);
        using var peer = new WirePeer();
        var observer = new RecordingObserver();
        _ = alice.Call(peer.Uri, observer);
        peer.Reply(await peer.RequestAsync("INVITE"), 200, "peer", TestAgent.Answer, ("Session-Expires", "4;refresher=uac"), ("Allow", "INVITE, UPDATE"));
        await peer.RequestAsync("ACK");

        peer.Reply(await peer.RequestAsync("UPDATE"), 481);

        await peer.RequestAsync("BYE");
        Assert.That(observer.HangUps.Single().Cause, Is.EqualTo(HangUpCause.SessionExpired));
    }

    [TestCase("Supported: timer\r\nSession-Expires: 120\r\n", "120;refresher=uac", "timer")]
    [TestCase("Supported: timer\r\nSession-Expires: 120;refresher=uas\r\n", "120;refresher=uas", null)]
    [TestCase("Supported: timer\r\n", "1800;refresher=uas", null)]
    [TestCase("Supported: timer\r\nMin-SE: 3600\r\n", "3600;refresher=uas", null)]
    [TestCase("Session-Expires: 120\r\n", "120;refresher=uas", null)]
    [TestCase("Supported: timer\r\nSession-Expires: 9999999\r\n", "86400;refresher=uac", "timer")]
    [TestCase("Supported: timer\r\nMin-SE: 2147483647\r\n", "86400;refresher=uas", null)]
    [TestCase("", null, null)]
    public async Task A_callee_agrees_on_who_refreshes(string headers, string? expected, string? required)
    {
        await using var alice = TestAgent.Start();
        using var peer = new WirePeer();
        peer.Send(alice.Agent.Port, peer.Request("INVITE", alice.Agent.Port, body: TestAgent.Offer, headers: headers));
        SipResponse response;
        do
        {
            response = await peer.ResponseAsync();
        }
        while (response.Status != 200);

        Assert.That((response.Headers["Session-Expires"], response.Headers["Require"]), Is.EqualTo((expected, required)));
    }
}
