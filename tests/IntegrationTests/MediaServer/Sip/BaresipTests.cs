using VoicePlatform.MediaServer.Sip.Signalling;

namespace VoicePlatform.IntegrationTests.MediaServer.Sip;

/// <summary>Our user agent and a telephone that knows nothing of us.</summary>
[RealTime]
internal sealed class BaresipTests
{
    [TestCase("udp")]
    [TestCase("tcp")]
    public async Task We_call_it_hold_it_and_hang_up(string transport)
    {
        await using var phone = await Baresip.StartAsync(transport);
        await using var agent = new SipAgent();
        var call = agent.Call(SipUri.Parse($"sip:alice@127.0.0.1:{phone.Port};transport={transport}"));

        var outcome = await call.Outcome;
        Assert.That(outcome, Is.InstanceOf<InviteOutcome.Answered>(), () => $"{outcome}\n{string.Join('\n', phone.Said())}");
        Assert.That(((InviteOutcome.Answered)outcome).Sdp, Does.Contain("m=audio"));
        var held = await call.ReInviteAsync(SipAgent.Sdp.Replace("o=- 1 1", "o=- 1 2", StringComparison.Ordinal) + "a=sendonly\r\n", CancellationToken.None);
        Assert.That(held.Sdp, Does.Contain("a=recvonly"));
        await call.HangUpAsync();

        await phone.SaidAsync("session closed");
        Assert.That(agent.HangUps, Is.Empty);
    }

    [TestCase("udp")]
    [TestCase("tcp")]
    public async Task It_calls_us_with_a_password_and_we_hang_up(string transport)
    {
        var answered = new TaskCompletionSource<IncomingCall>(TaskCreationOptions.RunContinuationsAsynchronously);
        SipAgent? agent = null;
        agent = new SipAgent(async call =>
        {
            if (!call.Authenticate("alice", "secret", "voice"))
            {
                call.Challenge("voice");
                return;
            }

            await agent!.AnswerAsync(call);
            answered.SetResult(call);
        });
        await using var disposed = agent;
        await using var phone = await Baresip.StartAsync(transport, $"sip:+15550199@127.0.0.1:{agent.Agent.Port}");

        IncomingCall call;
        try
        {
            call = await answered.Task.WaitAsync(TimeSpan.FromSeconds(10));
        }
        catch (TimeoutException)
        {
            Assert.Fail($"It never called:\n{string.Join('\n', phone.Said())}");
            return;
        }

        await phone.SaidAsync("call established");
        Assert.That((call.From.Uri.User, call.RequestUri.User), Is.EqualTo(("alice", "+15550199")));
        Assert.That(call.Offer, Does.Contain("PCMU"));
        await call.HangUpAsync("Q.850;cause=16");
        await phone.SaidAsync("session closed");
    }
}
