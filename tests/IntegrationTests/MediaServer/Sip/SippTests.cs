using VoicePlatform.MediaServer.Sip.Signalling;

namespace VoicePlatform.IntegrationTests.MediaServer.Sip;

/// <summary>Our user agent and SIPp, which is nobody's friend.</summary>
[RealTime]
internal sealed class SippTests
{
    [TestCase(SipTransport.Udp)]
    [TestCase(SipTransport.Tcp)]
    public async Task We_call_and_hang_up(SipTransport transport)
    {
        await using var agent = new SipAgent();
        await using var sipp = await Sipp.CalleeAsync("callee-answers", transport);
        var call = agent.Call(sipp.Uri);

        var outcome = await call.Outcome;
        Assert.That(outcome, Is.InstanceOf<InviteOutcome.Answered>(), () => outcome.ToString());
        Assert.That(((InviteOutcome.Answered)outcome).Sdp, Does.Contain("m=audio 6000"));
        Assert.That(agent.Progress, Is.EqualTo(new[] { 180 }));
        await call.HangUpAsync();

        await sipp.SucceededAsync();
        Assert.That(agent.Agent.CallCount, Is.Zero);
    }

    [TestCase(SipTransport.Udp)]
    [TestCase(SipTransport.Tcp)]
    public async Task We_call_and_the_callee_hangs_up(SipTransport transport)
    {
        await using var agent = new SipAgent();
        await using var sipp = await Sipp.CalleeAsync("callee-hangs-up", transport);

        var outcome = await agent.Call(sipp.Uri).Outcome;

        Assert.That(outcome, Is.InstanceOf<InviteOutcome.Answered>(), () => outcome.ToString());
        await sipp.SucceededAsync();
        Assert.That(() => agent.HangUps.SingleOrDefault()?.Cause, Is.EqualTo(HangUpCause.Peer).After(10_000, 10));
    }

    [TestCase("callee-busy", 486, SipTransport.Udp)]
    [TestCase("callee-busy", 486, SipTransport.Tcp)]
    [TestCase("callee-unavailable", 503, SipTransport.Udp)]
    public async Task We_call_and_are_refused(string scenario, int status, SipTransport transport)
    {
        await using var agent = new SipAgent();
        await using var sipp = await Sipp.CalleeAsync(scenario, transport);

        var outcome = await agent.Call(sipp.Uri).Outcome as InviteOutcome.Refused;

        Assert.That(outcome?.Status, Is.EqualTo(status));
        Assert.That(outcome?.Headers["Reason"], status == 486 ? Is.EqualTo("Q.850;cause=17") : Is.Null);
        await sipp.SucceededAsync();
    }

    [TestCase(SipTransport.Udp, false)]
    [TestCase(SipTransport.Tcp, false)]
    [TestCase(SipTransport.Udp, true)]
    public async Task We_give_up_while_it_rings(SipTransport transport, bool byTimeout)
    {
        await using var agent = new SipAgent();
        await using var sipp = await Sipp.CalleeAsync("callee-rings", transport);
        var call = agent.Call(sipp.Uri, i => i with { RingingTimeout = TimeSpan.FromSeconds(byTimeout ? 0.5 : 80) });
        if (!byTimeout)
        {
            Assert.That(() => agent.Progress.Count, Is.EqualTo(1).After(10_000, 10));
            call.Cancel();
        }

        Assert.That(await call.Outcome, byTimeout ? Is.InstanceOf<InviteOutcome.NoAnswer>() : Is.InstanceOf<InviteOutcome.Canceled>());
        await sipp.SucceededAsync();
    }

    [TestCase("secret", SipTransport.Udp, true)]
    [TestCase("secret", SipTransport.Tcp, true)]
    [TestCase("guess", SipTransport.Udp, false)]
    public async Task We_call_somebody_who_checks_our_password(string password, SipTransport transport, bool isRight)
    {
        await using var agent = new SipAgent();
        await using var sipp = await Sipp.CalleeAsync("callee-password", transport);
        var call = agent.Call(sipp.Uri, i => i with { AuthUsername = "alice", AuthPassword = password });

        var outcome = await call.Outcome;
        Assert.That(outcome is InviteOutcome.Answered ? 200 : (outcome as InviteOutcome.Refused)?.Status, Is.EqualTo(isRight ? 200 : 403));
        await call.HangUpAsync();
        await sipp.SucceededAsync();
    }

    [Test]
    public async Task A_callee_that_leaves_bye_unanswered_holds_us_for_a_bounded_time()
    {
        await using var agent = new SipAgent(t1: TimeSpan.FromMilliseconds(20));
        await using var sipp = await Sipp.CalleeAsync("callee-deaf-to-bye");
        var call = agent.Call(sipp.Uri);
        await call.Outcome;

        await call.HangUpAsync().WaitAsync(TimeSpan.FromSeconds(10));

        await sipp.SucceededAsync();
        Assert.That(() => agent.Agent.Kept.Clients, Is.Zero.After(10_000, 20));
    }

    [Test]
    public async Task Calls_come_through_a_network_that_loses_every_tenth_packet()
    {
        // The whole of a call's attempts is 64 of these: nearer to the standard's 500 ms, so that a machine that is busy loses none by itself.
        await using var agent = new SipAgent(t1: TimeSpan.FromMilliseconds(200));
        await Task.WhenAll(Enumerable.Range(0, 4).Select(async _ =>
        {
            await using var sipp = await Sipp.CalleeAsync("callee-answers", SipTransport.Udp, "-lost", "10");
            var call = agent.Call(sipp.Uri);
            var outcome = await call.Outcome;
            Assert.That(outcome, Is.InstanceOf<InviteOutcome.Answered>(), () => outcome.ToString());
            await call.HangUpAsync();
        }));
        Assert.That(agent.Agent.CallCount, Is.Zero);
    }

    [TestCase(SipTransport.Udp)]
    [TestCase(SipTransport.Tcp)]
    public async Task We_are_called_and_hung_up_on(SipTransport transport)
    {
        await using var agent = new SipAgent();
        await using var sipp = Sipp.Caller("caller-calls", agent.Agent.Port, transport);

        await sipp.SucceededAsync();

        Assert.That(agent.Calls.Single().RequestUri.User, Is.EqualTo("+15550199"));
        Assert.That(agent.Calls.Single().Transport, Is.EqualTo(transport));
        Assert.That(() => agent.HangUps.SingleOrDefault()?.Cause, Is.EqualTo(HangUpCause.Peer).After(10_000, 10));
        Assert.That(agent.Agent.CallCount, Is.Zero);
    }

    [Test]
    public async Task We_are_called_through_a_lossy_network()
    {
        await using var agent = new SipAgent(t1: TimeSpan.FromMilliseconds(200));
        await using var sipp = Sipp.Caller("caller-calls", agent.Agent.Port, SipTransport.Udp, "-lost", "10", "-max_retrans", "20");
        await sipp.SucceededAsync();
    }

    [Test]
    public async Task We_refuse()
    {
        await using var agent = new SipAgent(call =>
        {
            call.Ring();
            call.Reject(486);
            return Task.CompletedTask;
        });
        await using var sipp = Sipp.Caller("caller-refused", agent.Agent.Port);
        await sipp.SucceededAsync();
        Assert.That(() => agent.Agent.Kept.Servers, Is.Zero.After(10_000, 20));
    }

    [TestCase(SipTransport.Udp)]
    [TestCase(SipTransport.Tcp)]
    public async Task The_caller_gives_up_while_we_ring(SipTransport transport)
    {
        await using var agent = new SipAgent(async call =>
        {
            call.Ring();
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, call.Ended).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        });
        await using var sipp = Sipp.Caller("caller-cancels", agent.Agent.Port, transport);
        await sipp.SucceededAsync();
        Assert.That(agent.Calls.Single().Ended.IsCancellationRequested, Is.True);
    }

    [Test]
    public async Task The_caller_shows_the_password()
    {
        await using var agent = new SipAgent(async call =>
        {
            if (call.Authenticate("alice", "secret", "voice"))
            {
                await call.AnswerAsync(SipAgent.Sdp);
            }
            else
            {
                call.Challenge("voice");
            }
        });
        await using var sipp = Sipp.Caller("caller-password", agent.Agent.Port);
        await sipp.SucceededAsync();
        Assert.That(agent.Calls, Has.Count.EqualTo(2));
    }

    [Test]
    public async Task A_caller_that_never_acknowledges_is_hung_up_on()
    {
        await using var agent = new SipAgent(t1: TimeSpan.FromMilliseconds(20));
        await using var sipp = Sipp.Caller("caller-never-acknowledges", agent.Agent.Port);
        await sipp.SucceededAsync();
        Assert.That(agent.HangUps.Single().Cause, Is.EqualTo(HangUpCause.NoAck));
        Assert.That(() => agent.Failures, Has.Count.EqualTo(1).After(10_000, 10));
    }
}
