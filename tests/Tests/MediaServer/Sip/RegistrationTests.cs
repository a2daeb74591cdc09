using VoicePlatform.MediaServer.Sip.Signalling;

namespace VoicePlatform.Tests.MediaServer.Sip;

[TestFixture]
internal sealed class RegistrationTests
{
    [Test]
    public async Task It_registers_with_a_password_refreshes_in_time_and_leaves()
    {
        await using var agent = TestAgent.Start();
        using var registrar = new WirePeer();
        var registration = agent.Agent.Register(Options(registrar));

        var first = await registrar.RequestAsync("REGISTER");
        registrar.Reply(first, 401, headers: ("WWW-Authenticate", "Digest realm=\"r\", nonce=\"n\", qop=\"auth\""));
        var second = await NextAsync(registrar, first);
        registrar.Reply(second, 200, "t", "", ("Contact", "<sip:other@192.0.2.1>;expires=9999"), ("Contact", second.Headers["Contact"] + ";expires=2"));
        Assert.That(await registration.FirstAttempt.WaitAsync(TimeSpan.FromSeconds(5)), Is.EqualTo(RegistrationState.Registered));
        var third = await NextAsync(registrar, second);
        registrar.Reply(third, 200, "t", "", ("Expires", "3600"));

        Assert.That((first.RequestUri, first.Headers["Expires"]), Is.EqualTo(($"sip:127.0.0.1:{registrar.Port}", "3600")));
        Assert.That(first.To!.Uri.ToString(), Is.EqualTo("sip:alice@example.com"));
        Assert.That(first.Headers["Contact"], Is.EqualTo($"<sip:alice@127.0.0.1:{agent.Agent.Port}>"));
        Assert.That(second.Headers["Authorization"], Does.StartWith("Digest username=\"alice\", realm=\"r\""));
        Assert.That(third.CSeq.Number, Is.GreaterThan(second.CSeq.Number));
        Assert.That(third.CallId, Is.EqualTo(first.CallId));

        var leaving = registration.DisposeAsync();
        var last = await NextAsync(registrar, third);
        registrar.Reply(last, 200);
        await leaving.AsTask().WaitAsync(TimeSpan.FromSeconds(5));
        Assert.That(last.Headers["Expires"], Is.EqualTo("0"));
        Assert.That(registration.State, Is.EqualTo(RegistrationState.Unregistered));
    }

    [Test]
    public async Task A_refusal_is_told_and_tried_again_later()
    {
        await using var agent = TestAgent.Start();
        using var registrar = new WirePeer();
        await using var registration = agent.Agent.Register(Options(registrar) with { RetryAfter = TimeSpan.FromMilliseconds(50) });

        var first = await registrar.RequestAsync("REGISTER");
        registrar.Reply(first, 403);
        Assert.That(await registration.FirstAttempt.WaitAsync(TimeSpan.FromSeconds(5)), Is.EqualTo(RegistrationState.Failed));
        Assert.That(registration.LastError, Is.EqualTo("The registrar answered 403 Forbidden."));

        var second = await NextAsync(registrar, first);
        registrar.Reply(second, 423, headers: ("Min-Expires", "7200"));
        var third = await NextAsync(registrar, second);
        registrar.Reply(third, 403);
        Assert.That(third.Headers["Expires"], Is.EqualTo("7200"));
        await TestAgent.EventuallyAsync(() => registration.State == RegistrationState.Failed, "it has failed again");
    }

    [Test]
    public async Task One_granted_for_ever_stands()
    {
        await using var agent = TestAgent.Start();
        using var registrar = new WirePeer();
        var registration = agent.Agent.Register(Options(registrar));
        var first = await registrar.RequestAsync("REGISTER");
        registrar.Reply(first, 200, "t", "", ("Expires", "2147483647"));
        await registration.FirstAttempt.WaitAsync(TimeSpan.FromSeconds(20));

        var leaving = registration.DisposeAsync();      // says so only while it is registered
        var last = await NextAsync(registrar, first);
        registrar.Reply(last, 200);
        await leaving.AsTask().WaitAsync(TimeSpan.FromSeconds(20));
        Assert.That((last.Headers["Expires"], agent.Agent.Counters.Faults), Is.EqualTo(("0", 0L)));
    }

    private static RegistrationOptions Options(WirePeer registrar) => new()
    {
        Registrar = registrar.Uri,
        User = "alice",
        Domain = "example.com",
        AuthPassword = "secret",
    };

    private static async Task<SipRequest> NextAsync(WirePeer peer, SipRequest before)
    {
        while (true)
        {
            if (await peer.RequestAsync("REGISTER") is { } request && request.CSeq != before.CSeq)
            {
                return request;
            }
        }
    }
}
