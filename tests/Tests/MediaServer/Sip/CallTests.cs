using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using VoicePlatform.MediaServer.Sip.Signalling;
using VoicePlatform.Tests.Support;

namespace VoicePlatform.Tests.MediaServer.Sip;

/// <summary>Two user agents and real sockets between them.</summary>
[TestFixture]
internal sealed class CallTests
{
    [TestCase(SipTransport.Udp)]
    [TestCase(SipTransport.Tcp)]
    [TestCase(SipTransport.Tls)]
    public async Task A_call_rings_is_answered_and_hung_up_by_either_side(SipTransport transport)
    {
        using var certificate = NewCertificate();
        var options = TestAgent.Quick with { TlsPort = 0, Certificate = certificate, TrustedCertificate = certificate };
        await using var alice = TestAgent.Start(options: options);
        await using var bob = TestAgent.Start(options: options);
        foreach (var callerHangsUp in new[] { true, false })
        {
            var observer = new RecordingObserver();
            var call = alice.Call(bob.Uri(transport: transport), observer, i => i with { Headers = [("X-Call", "7")] });
            var outcome = await call.Outcome;

            Assert.That(outcome, Is.InstanceOf<InviteOutcome.Answered>(), () => outcome.ToString());
            Assert.That(((InviteOutcome.Answered)outcome).Sdp, Is.EqualTo(TestAgent.Answer));
            Assert.That(observer.Progress.Select(p => p.Status).Distinct(), Is.EqualTo(new[] { 180 }), "A request that is repeated gets it again.");
            var incoming = bob.Calls.Last();
            Assert.That(incoming.Offer, Is.EqualTo(TestAgent.Offer));
            Assert.That(incoming.From.Uri.User, Is.EqualTo("+15550100"));
            Assert.That(incoming.DisplayName, Is.EqualTo("Alice \"A\""));
            Assert.That(incoming.RequestUri.User, Is.EqualTo("bob"));
            Assert.That(incoming.Headers["X-Call"], Is.EqualTo("7"));
            Assert.That(incoming.Transport, Is.EqualTo(transport));
            Assert.That(incoming.CallId, Is.EqualTo(call.CallId));
            Assert.That((incoming.LocalTag, incoming.RemoteTag), Is.EqualTo((call.RemoteTag, call.LocalTag)));

            var other = callerHangsUp ? bob.Observers.Last() : observer;
            await (callerHangsUp ? (SipCall)call : incoming).HangUpAsync("Q.850;cause=16");
            await TestAgent.EventuallyAsync(() => !other.HangUps.IsEmpty, "the other side hears of the BYE");
            Assert.That(other.HangUps.Single(), Is.EqualTo(new HangUp(HangUpCause.Peer, "Q.850;cause=16")));
            Assert.That((callerHangsUp ? observer : bob.Observers.Last()).HangUps, Is.Empty);
            await TestAgent.EventuallyAsync(() => call.Ended.IsCancellationRequested && incoming.Ended.IsCancellationRequested, "both are over");
        }

        await TestAgent.EventuallyAsync(() => alice.Agent.Kept is (<= 1, 0, 0) && bob.Agent.Kept is (<= 1, 0, 0), "nothing is kept but one connection");
        Assert.That((alice.Agent.CallCount, bob.Agent.CallCount), Is.EqualTo((0, 0)));
        Assert.That((alice.Agent.Counters.Faults, bob.Agent.Counters.Faults), Is.EqualTo((0, 0)));
    }

    [Test]
    public async Task A_certificate_that_is_not_trusted_or_not_for_this_name_is_refused()
    {
        using var certificate = NewCertificate();
        await using var bob = TestAgent.Start(options: TestAgent.Quick with { TlsPort = 0, Certificate = certificate });
        await using var strict = TestAgent.Start();
        await using var trusting = TestAgent.Start(options: TestAgent.Quick with { TrustedCertificate = certificate });

        var untrusted = await strict.Call(bob.Uri(transport: SipTransport.Tls)).Outcome;
        var misnamed = await trusting.Call(bob.Uri(transport: SipTransport.Tls) with { Host = "localhost" }).Outcome;

        foreach (var outcome in new[] { untrusted, misnamed })
        {
            Assert.That((outcome as InviteOutcome.Unreachable)?.Kind, Is.EqualTo(UnreachableKind.Tls));
        }

        Assert.That(bob.Calls, Is.Empty);
    }

    [Test]
    public async Task A_connection_is_kept_open_while_a_call_uses_it_and_closed_when_idle()
    {
        var options = TestAgent.Quick with { IdleTimeout = TimeSpan.FromSeconds(3), KeepAlive = TimeSpan.FromMilliseconds(300) };
        await using var alice = TestAgent.Start(options: options);
        await using var bob = TestAgent.Start(options: options);
        var call = alice.Call(bob.Uri(transport: SipTransport.Tcp));
        await call.Outcome;

        await Task.Delay(TimeSpan.FromSeconds(5), TimeProvider.System);
        Assert.That((alice.Agent.Kept.Connections, bob.Agent.Kept.Connections), Is.EqualTo((1, 1)));

        await call.HangUpAsync();
        await TestAgent.EventuallyAsync(() => alice.Agent.Kept.Connections == 0 && bob.Agent.Kept.Connections == 0, "it is closed");
    }

    [Test]
    public async Task A_refusal_brings_its_status_reason_and_headers()
    {
        await using var alice = TestAgent.Start();
        await using var bob = TestAgent.Start((call, _) =>
        {
            call.Ring();
            call.Reject(486, "Busy just now", [("X-Why", "lunch")]);
            return Task.CompletedTask;
        });

        var outcome = (InviteOutcome.Refused)await alice.Call(bob.Uri()).Outcome;

        Assert.That((outcome.Status, outcome.Reason, outcome.Headers["X-Why"]), Is.EqualTo((486, "Busy just now", "lunch")));
        await TestAgent.EventuallyAsync(() => bob.Agent.Kept.Servers == 0, "the refusal is acknowledged and forgotten");
    }

    [Test]
    public async Task A_cancelled_call_stops_ringing_at_the_callee()
    {
        await using var alice = TestAgent.Start();
        var hasStopped = new TaskCompletionSource();
        await using var bob = TestAgent.Start(async (call, ct) =>
        {
            call.Ring();
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            hasStopped.SetResult();
        });
        var observer = new RecordingObserver();
        var call = alice.Call(bob.Uri(), observer);
        await TestAgent.EventuallyAsync(() => !observer.Progress.IsEmpty, "it rings");

        call.Cancel();

        Assert.That(await call.Outcome, Is.InstanceOf<InviteOutcome.Canceled>());
        await hasStopped.Task.WaitAsync(TimeSpan.FromSeconds(5));
        await TestAgent.EventuallyAsync(() => alice.Agent.Kept.Clients == 0 && bob.Agent.Kept.Servers == 0, "nothing is left of it");
        Assert.ThrowsAsync<SipException>(() => bob.Calls.Single().AnswerAsync(TestAgent.Answer));
    }

    [Test]
    public async Task A_call_nobody_answers_ends_with_the_ringing_timeout()
    {
        var (clock, observer) = (new ManualTime(), new RecordingObserver());
        await using var alice = TestAgent.Start(clock: clock);
        await using var bob = TestAgent.Start((call, ct) =>
        {
            call.Ring();
            return Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, ct);
        });

        var call = alice.Call(bob.Uri(), observer, i => i with { RingingTimeout = TimeSpan.FromMinutes(1) });
        await TestAgent.EventuallyAsync(() => !observer.Progress.IsEmpty, "it rings");
        clock.Advance(TimeSpan.FromMinutes(1));

        Assert.That(await call.Outcome, Is.InstanceOf<InviteOutcome.NoAnswer>());
        await TestAgent.EventuallyAsync(() => bob.Calls.Single().Ended.IsCancellationRequested, "the callee is told");
    }

    [Test]
    public async Task Early_media_reaches_the_caller_before_the_answer()
    {
        await using var alice = TestAgent.Start();
        await using var bob = TestAgent.Start(async (call, _) =>
        {
            call.Progress(TestAgent.Answer);
            await call.AnswerAsync(TestAgent.Answer);
        });
        var observer = new RecordingObserver();

        var outcome = await alice.Call(bob.Uri(), observer).Outcome;

        Assert.That(outcome, Is.InstanceOf<InviteOutcome.Answered>());
        Assert.That(observer.Progress.Distinct(), Is.EqualTo(new[] { (183, TestAgent.Answer) }));
    }

    [Test]
    public async Task An_undecided_or_failing_handler_refuses_with_480_or_500()
    {
        await using var alice = TestAgent.Start();
        await using var bob = TestAgent.Start((call, _) => call.RequestUri.User switch
        {
            "fails" => throw new InvalidOperationException("as it should"),
            "hangs" => Task.Delay(TimeSpan.FromSeconds(3), TimeProvider.System, CancellationToken.None),
            _ => Task.CompletedTask,
        }, TestAgent.Quick with { AnswerTimeout = TimeSpan.FromSeconds(1), StopTimeout = TimeSpan.FromMilliseconds(100) });

        foreach (var (user, status) in new[] { ("leaves", 480), ("fails", 500), ("hangs", 480) })
        {
            Assert.That(StatusOf(await alice.Call(bob.Uri(user)).Outcome), Is.EqualTo(status), user);
        }
    }

    [Test]
    public async Task Either_side_changes_the_session_and_a_refused_change_leaves_it()
    {
        await using var alice = TestAgent.Start();
        await using var bob = TestAgent.Start();
        var observer = new RecordingObserver();
        var call = alice.Call(bob.Uri(), observer);
        await call.Outcome;
        var incoming = bob.Calls.Single();

        var held = await call.ReInviteAsync(TestAgent.Offer + "a=sendonly\r\n", CancellationToken.None);
        observer.Reply = _ => null;
        var refused = await incoming.ReInviteAsync(TestAgent.Offer, CancellationToken.None);

        Assert.That(held, Is.EqualTo(new ReInviteOutcome(200, "OK", TestAgent.Answer)));
        Assert.That(bob.Observers.Single().Offers.Single(), Does.EndWith("a=sendonly\r\n"));
        Assert.That((refused.Status, refused.IsAccepted), Is.EqualTo((488, false)));
        Assert.That(call.Ended.IsCancellationRequested, Is.False);
    }

    [Test]
    public async Task Two_changes_at_once_both_come_through_after_the_wait()
    {
        await using var alice = TestAgent.Start();
        await using var bob = TestAgent.Start();
        var call = alice.Call(bob.Uri());
        await call.Outcome;
        var incoming = bob.Calls.Single();

        var both = await Task.WhenAll(call.ReInviteAsync(TestAgent.Offer, CancellationToken.None), incoming.ReInviteAsync(TestAgent.Offer, CancellationToken.None));

        Assert.That(both.Select(o => o.IsAccepted), Is.All.True);
    }

    [Test]
    public async Task A_transfer_that_is_declined_says_so_and_the_call_goes_on()
    {
        await using var alice = TestAgent.Start();
        await using var bob = TestAgent.Start();
        var call = alice.Call(bob.Uri());
        await call.Outcome;

        var outcome = await call.ReferAsync("tel:+15550123", [("Referred-By", "<sip:x@y>")], TimeSpan.FromSeconds(5), CancellationToken.None);

        Assert.That((outcome.Kind, outcome.Status), Is.EqualTo((ReferKind.Refused, 603)));
        Assert.That(call.Ended.IsCancellationRequested, Is.False);
    }

    [TestCase(false)]
    [TestCase(true)]
    public async Task A_call_asks_for_a_password_and_lets_the_right_one_in(bool withSha256)
    {
        await using var bob = TestAgent.Start(async (call, _) =>
        {
            if (call.Authenticate("alice", "secret", "test"))
            {
                await call.AnswerAsync(TestAgent.Answer);
            }
            else
            {
                call.Challenge("test");
            }
        }, TestAgent.Quick with { ChallengesWithSha256 = withSha256 });
        await using var alice = TestAgent.Start();

        var right = await alice.Call(bob.Uri(), with: i => i with { AuthUsername = "alice", AuthPassword = "secret" }).Outcome;
        var wrong = await alice.Call(bob.Uri(), with: i => i with { AuthUsername = "alice", AuthPassword = "guess" }).Outcome;
        var none = await alice.Call(bob.Uri()).Outcome;

        Assert.That(right, Is.InstanceOf<InviteOutcome.Answered>());
        Assert.That(StatusOf(wrong), Is.EqualTo(401));
        Assert.That(StatusOf(none), Is.EqualTo(401));
        Assert.That(bob.Calls, Has.Count.EqualTo(5));
        Assert.That(bob.Calls.ElementAt(1).Headers["Authorization"], Does.Contain(withSha256 ? "algorithm=SHA-256" : "algorithm=MD5"));
    }

    [Test]
    public async Task Stopping_hangs_up_what_stands_and_what_rings_in_bounded_time()
    {
        await using var alice = TestAgent.Start();
        var bob = TestAgent.Start(async (call, ct) =>
        {
            call.Ring();
            if (call.RequestUri.User == "bob")
            {
                call.Observer = new RecordingObserver();
                await call.AnswerAsync(TestAgent.Answer);
            }
            else
            {
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, ct);
            }
        });
        var observer = new RecordingObserver();
        var answered = alice.Call(bob.Uri(), observer);
        var ringing = alice.Call(bob.Uri("slow"));
        await answered.Outcome;
        await TestAgent.EventuallyAsync(() => bob.Calls.Count == 2, "both calls are there");

        await bob.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(3));

        await TestAgent.EventuallyAsync(() => !observer.HangUps.IsEmpty, "the answered call is hung up");
        Assert.That(StatusOf(await ringing.Outcome), Is.EqualTo(480));
        var heard = (RecordingObserver)bob.Calls.First(c => c.RequestUri.User == "bob").Observer!;
        Assert.That(heard.HangUps, Is.EqualTo(new[] { new HangUp(HangUpCause.Stopped) }));
    }

    private static int? StatusOf(InviteOutcome outcome) => (outcome as InviteOutcome.Refused)?.Status;

    private static X509Certificate2 NewCertificate()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=test", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(System.Net.IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        var now = TimeProvider.System.GetUtcNow();
        using var made = request.CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
        return X509CertificateLoader.LoadPkcs12(made.Export(X509ContentType.Pkcs12), null);
    }
}
