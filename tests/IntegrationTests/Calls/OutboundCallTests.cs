using System.Net;
using System.Text.Json.Nodes;
using VoicePlatform.Contracts.Billing;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Calls;

/// <summary>Calls that tenants place.</summary>
internal sealed class OutboundCallTests : PhoneBenchTests
{
    [Test]
    public async Task An_answered_call_is_held_talked_charged_and_announced_once()
    {
        await using var receiver = await WebhookReceiver.StartAsync();
        var (before, _) = await Bench.Tenant.BalanceAsync();
        var id = await Bench.CallAsync(new { metadata = new { order = 7 }, webhook_url = receiver.Url, variables = new { name = "Ada" } });
        Assert.That((await Bench.Tenant.BalanceAsync()).Held, Is.Positive);

        var call = await Bench.UntilAsync(id, "in_progress");
        Assert.That(async () => await Bench.EventsAsync(id, "call.answered"), Has.Count.EqualTo(1).After(20_000, 50));
        var dialed = Bench.Dialed.Single();
        Assert.That((dialed.SipCallTo, dialed.SipNumber, dialed.WaitUntilAnswered, dialed.KrispEnabled), Is.EqualTo((PhoneBench.To, PhoneBench.From, true, false)));
        Assert.That(dialed.RingingTimeout.Seconds, Is.EqualTo(30));
        await Bench.TalkAsync(call["session_id"]!.GetValue<string>());

        call = await Bench.UntilAsync(id, "completed");
        Assert.That((call["ended_reason"]!.GetValue<string>(), call["from_number"]!.GetValue<string>(), call["attempts"]!.GetValue<int>()), Is.EqualTo(("assistant_ended", PhoneBench.From, 1)));
        var cost = call["cost"]!["amount"]!.GetValue<long>();
        Assert.That(call["cost"]!["lines"]!.AsArray().Select(l => l!["component"]!.GetValue<string>()), Is.SupersetOf(new[] { "platform", "telephony_outbound", "llm_input" }));
        Assert.That(await Bench.Tenant.BalanceAsync(), Is.EqualTo((before - cost, 0L)));

        var told = await receiver.NextAsync();
        Assert.That(told.Json["type"]!.GetValue<string>(), Is.EqualTo("call.completed"));
        Assert.That(told.Json["data"]!["transcript"]!.AsArray().Select(l => l!["speaker"]!.GetValue<string>()), Is.EqualTo(new[] { "agent", "user" }));
        Assert.That(told.Json["data"]!["metadata"]!["order"]!.GetValue<int>(), Is.EqualTo(7));
        Assert.That(async () => await Bench.EventsAsync(id, "call.completed"), Has.Count.EqualTo(1).After(20_000, 50));
        Assert.That((await Bench.Tenant.GetAsync("/v1/events")).Body!["data"]!.AsArray().Select(e => e!["type"]!.GetValue<string>()), Does.Not.Contain("session.completed"));
        Assert.That((await Bench.Tenant.GetAsync($"/v1/calls/{id}/transcript")).Body!["data"]!.AsArray(), Has.Count.EqualTo(2));
        Assert.That((await Bench.Tenant.GetAsync("/v1/billing/verify")).Get<bool>("ok"));
        Assert.That(() => Bench.LiveKit.DeletedRooms, Does.Contain(dialed.RoomName).After(20_000, 50));
    }

    [TestCase(486, "busy", "busy", "callee")]
    [TestCase(600, "busy", "busy", "callee")]
    [TestCase(480, "no_answer", "no_answer", "callee")]
    [TestCase(408, "no_answer", "no_answer", "callee")]
    [TestCase(603, "rejected", "declined", "callee")]
    [TestCase(607, "rejected", "declined", "callee")]
    [TestCase(404, "failed", "wrong_number", "callee")]
    [TestCase(401, "failed", "trunk_credentials", "tenant")]
    [TestCase(403, "failed", "trunk_forbidden", "tenant")]
    [TestCase(488, "failed", "no_common_codec", "carrier")]
    [TestCase(503, "failed", "carrier_unavailable", "carrier")]
    public async Task An_answer_of_the_network_has_its_word_its_cause_and_its_fault(int sip, string status, string cause, string fault)
    {
        Bench.LiveKit.OnDial = (_, _) => throw TwirpRefusal.Sip(sip, "Reason");
        var (before, _) = await Bench.Tenant.BalanceAsync();

        var id = await Bench.CallAsync();
        var call = await Bench.UntilAsync(id, "busy", "no_answer", "rejected", "failed", "completed");

        Assert.That((call["status"]!.GetValue<string>(), call["cause"]!.GetValue<string>(), call["fault"]!.GetValue<string>()), Is.EqualTo((status, cause, fault)));
        Assert.That((call["sip"]!["status_code"]!.GetValue<int>(), call["sip"]!["reason"]!.GetValue<string>()), Is.EqualTo((sip, "Reason")));
        Assert.That(await Bench.Tenant.BalanceAsync(), Is.EqualTo((before, 0L)));
        Assert.That(Bench.Dialed, Has.Count.EqualTo(1));
        Assert.That(async () => await Bench.EventsAsync(id, "call.completed"), Has.Count.EqualTo(1).After(20_000, 50));
        Assert.That(await Bench.CountAsync($"SELECT count(*) FROM billing.transactions WHERE metadata->>'subject_id' = '{id}' AND kind = 'release'"), Is.EqualTo(1));
    }

    [Test]
    public async Task A_broken_connection_while_it_may_ring_ends_the_call_and_never_dials_again()
    {
        Bench.LiveKit.OnDial = (_, _) => throw new OperationCanceledException("The fake hangs up on us.");

        var id = await Bench.CallAsync(new { retry = new { max_attempts = 5, delay_s = 1 } });
        var call = await Bench.UntilAsync(id, "failed");

        Assert.That((call["cause"]!.GetValue<string>(), call["fault"]!.GetValue<string>()), Is.EqualTo(("unknown_outcome", "platform")));
        await Task.Delay(TimeSpan.FromSeconds(2), TimeProvider.System);
        Assert.That(Bench.Dialed, Has.Count.EqualTo(1));
        Assert.That(() => Bench.LiveKit.DeletedRooms, Does.Contain(Bench.Dialed.Single().RoomName).After(20_000, 50));
        Assert.That((await Bench.Tenant.BalanceAsync()).Held, Is.Zero);
    }

    [Test]
    public async Task Busy_is_tried_again_as_often_as_asked_and_no_answer_is_not_when_only_busy_was_named()
    {
        Bench.LiveKit.OnDial = (_, _) => throw (Bench.Dialed.Count < 3 ? TwirpRefusal.Sip(486, "Busy Here") : TwirpRefusal.Sip(480, "Unavailable"));

        var id = await Bench.CallAsync(new { retry = new { max_attempts = 5, on = new[] { "busy" }, delay_s = 1 } });
        var call = await Bench.UntilAsync(id, "no_answer");

        Assert.That(call["attempts"]!.GetValue<int>(), Is.EqualTo(3));
        Assert.That(Bench.Dialed.Select(d => d.RoomName), Is.Unique);
        Assert.That(async () => await Bench.EventsAsync(id, "call.completed"), Has.Count.EqualTo(1).After(20_000, 50));
        Assert.That(await Bench.CountAsync($"SELECT count(*) FROM billing.transactions WHERE metadata->>'subject_id' = '{id}'"), Is.EqualTo(2), "one hold, one release");
    }

    [Test]
    public async Task Nobody_is_rung_before_the_agent_is_there_and_the_call_waits_for_it()
    {
        Bench.LiveKit.AgentsCome = false;
        var id = await Bench.CallAsync();
        await Bench.UntilAsync(id, "dialing");
        await Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System);
        Assert.That(Bench.Dialed, Is.Empty);

        Bench.LiveKit.AgentsCome = true;
        await Bench.UntilAsync(id, "in_progress");
        Assert.That(Bench.Dialed, Has.Count.EqualTo(1));
    }

    [Test]
    public async Task A_call_ended_while_queued_is_canceled_and_its_hold_released()
    {
        var id = await Bench.CallAsync(new { schedule_at = TimeProvider.System.GetUtcNow().AddHours(1) });
        var ended = await Bench.Tenant.PostAsync($"/v1/calls/{id}/end");
        Assert.That((ended.Status, ended.Get<string>("status")), Is.EqualTo((HttpStatusCode.OK, "canceled")));
        Assert.That((await Bench.Tenant.BalanceAsync()).Held, Is.Zero);
        Assert.That((await Bench.Tenant.PostAsync($"/v1/calls/{id}/end")).Get<string>("status"), Is.EqualTo("canceled"));
        Assert.That(async () => await Bench.EventsAsync(id, "call.completed"), Has.Count.EqualTo(1).After(20_000, 50));
    }

    [Test]
    public async Task A_call_ended_while_it_rings_stops_ringing()
    {
        Bench.LiveKit.OnDial = (_, room) => Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, room);
        var id = await Bench.CallAsync(new { retry = new { max_attempts = 3, delay_s = 1 } });
        Assert.That(() => Bench.Dialed.Count, Is.EqualTo(1).After(20_000, 20));
        await Bench.SendAsync(new ReportPhoneState((await Bench.GetAsync(id))["session_id"]!.GetValue<string>(), PhoneState.Ringing));
        Assert.That((await Bench.GetAsync(id))["status"]!.GetValue<string>(), Is.EqualTo("ringing"));

        Assert.That((await Bench.Tenant.PostAsync($"/v1/calls/{id}/end")).Status, Is.EqualTo(HttpStatusCode.OK));

        var call = await Bench.UntilAsync(id, "canceled");
        Assert.That(call["cause"]!.GetValue<string>(), Is.EqualTo("requested"));
        Assert.That((await Bench.Tenant.BalanceAsync()).Held, Is.Zero);
    }

    [Test]
    public async Task A_call_ended_in_mid_conversation_is_charged_and_completed()
    {
        var id = await Bench.CallAsync();
        await Bench.UntilAsync(id, "in_progress");
        var ended = await Bench.Tenant.PostAsync($"/v1/calls/{id}/end");
        Assert.That((ended.Get<string>("status"), ended.Get<string>("ended_reason")), Is.EqualTo(("completed", "requested")));
        Assert.That(ended.Body!["cost"]!["amount"]!.GetValue<long>(), Is.Positive);
    }

    [Test]
    public async Task A_conversation_whose_next_minute_is_not_covered_hears_of_it_in_time_to_end_within_the_present_one()
    {
        // Enough for the first hold, two minutes, and not for a third.
        await using var bench = await PhoneBench.StartAsync(("BILLING_SIGNUP_CREDITS", "4"));
        var id = await bench.CallAsync();
        var session = (await bench.UntilAsync(id, "in_progress"))["session_id"]!.GetValue<string>();
        Assert.That(await ReportAfterAsync(0), Is.EqualTo(Continuation.GoOn));
        Assert.That(await ReportAfterAsync(90), Is.EqualTo(Continuation.GoOn));
        Assert.That(await ReportAfterAsync(102), Is.EqualTo(Continuation.OutOfCredits));

        // The agent says goodbye, and ends it: all of it was covered.
        var (_, held) = await bench.Tenant.BalanceAsync();
        await bench.ExecuteAsync("UPDATE session.sessions SET started_at = now() - interval '115 s'");
        Assert.That((await bench.SendAsync(new FinishSession(session, EndReasons.OutOfCredits))).IsOk);
        var call = await bench.UntilAsync(id, "completed");
        Assert.That(call["ended_reason"]!.GetValue<string>(), Is.EqualTo("out_of_credits"));
        Assert.That(call["cost"]!["amount"]!.GetValue<long>(), Is.Positive.And.AtMost(held));
        Assert.That((await bench.Tenant.BalanceAsync()).Available, Is.Positive);
        Assert.That(await bench.CountAsync("SELECT count(*) FROM billing.entries WHERE account = 'platform:uncollected'"), Is.Zero);

        async Task<Continuation> ReportAfterAsync(int seconds)
        {
            await bench.ExecuteAsync($"UPDATE session.sessions SET started_at = now() - interval '{seconds} s' WHERE started_at IS NOT NULL");
            return (await bench.SendAsync(new ReportProgress(session, [], [], [], [], CallerPresent: true))).Value.Continuation;
        }
    }

    [Test]
    public async Task A_report_is_answered_with_how_long_is_paid_for_and_nothing_is_when_the_hold_is_over()
    {
        var since = TimeProvider.System.GetUtcNow();
        var id = await Bench.CallAsync(new { max_duration_s = 150 });
        var session = (await Bench.UntilAsync(id, "in_progress"))["session_id"]!.GetValue<string>();
        Assert.That(await AtFirstAsync(), Is.InRange(120 - Passed(), 120), "what the first hold covers");
        Assert.That(await CoveredAfterAsync(0), Is.EqualTo(60));
        Assert.That(await CoveredAfterAsync(39), Is.EqualTo(21));
        Assert.That(await AtFirstAsync(), Is.InRange(81 - Passed(), 81), "an agent that comes back");
        Assert.That(await CoveredAfterAsync(41), Is.EqualTo(79), "the next minute, 20 seconds before");
        Assert.That(await CoveredAfterAsync(102), Is.Null, "its limit and a goodbye: no more can come");

        // The call lost its hold: whoever talks on is not paid.
        Assert.That((await Bench.SendAsync(new SettleHold(Bench.Tenant.TenantId, id, []))).IsOk);
        Assert.That(await ReportAsync(), Is.EqualTo(new ReportAnswer(Continuation.OutOfCredits, TimeSpan.Zero)));

        double Passed() => (TimeProvider.System.GetUtcNow() - since).TotalSeconds;

        async Task<double?> AtFirstAsync() => (await Bench.SendAsync(new AttendSession(session))).Value.Covered?.TotalSeconds;

        // A report of the second that has just begun, however late it is taken.
        async Task<double?> CoveredAfterAsync(int seconds)
        {
            since = DateTimeOffset.FromUnixTimeSeconds(TimeProvider.System.GetUtcNow().ToUnixTimeSeconds());
            await Bench.ExecuteAsync($"UPDATE session.sessions SET started_at = to_timestamp({since.ToUnixTimeSeconds() - seconds}) WHERE id = '{session}'");
            var answer = await ReportAsync(since);
            Assert.That(answer.Continuation, Is.EqualTo(Continuation.GoOn));
            return answer.Covered?.TotalSeconds;
        }

        async Task<ReportAnswer> ReportAsync(DateTimeOffset? at = null) => (await Bench.SendAsync(new ReportProgress(session, [], [], [], [], CallerPresent: true) { At = at })).Value;
    }

    [Test]
    public async Task No_more_time_is_held_than_a_conversation_may_last()
    {
        // Its limit and a goodbye: 20 seconds.
        var twenty = (await Bench.SendAsync(new PriceUse(Bench.Tenant.TenantId,
        [
            new("platform", "second", 20), new("telephony_outbound", "second", 20) { Number = PhoneBench.To }, new("speech_to_text", "second", 20), new("text_to_speech", "character", 900),
            new("llm_input", "token", 12_000), new("llm_output", "token", 600),
        ]))).Value.Amount;
        var id = await Bench.CallAsync(new { max_duration_s = 10, record = false });
        var session = (await Bench.UntilAsync(id, "in_progress"))["session_id"]!.GetValue<string>();
        Assert.That((await Bench.Tenant.BalanceAsync()).Held, Is.EqualTo(twenty));
        foreach (var seconds in (int[])[0, 9, 19])
        {
            await Bench.ExecuteAsync($"UPDATE session.sessions SET started_at = now() - interval '{seconds} s' WHERE id = '{session}'");
            Assert.That((await Bench.SendAsync(new ReportProgress(session, [], [], [], [], CallerPresent: true))).IsOk);
            Assert.That((await Bench.Tenant.BalanceAsync()).Held, Is.EqualTo(twenty), $"after {seconds} s");
        }

        await Bench.Tenant.PostAsync($"/v1/calls/{id}/end");

        // In a browser the same, without a telephone.
        var brief = await Bench.Tenant.CreateAssistantAsync(new { name = "Brief", limits = new { max_duration_s = 100 } });
        var spoken = await Bench.Tenant.PostAsync("/v1/sessions", new { assistant_id = brief });
        Assert.That(spoken.Status, Is.EqualTo(HttpStatusCode.Created), spoken.Body?.ToJsonString());
        var browser = (await Bench.SendAsync(new PriceUse(Bench.Tenant.TenantId,
        [
            new("platform", "second", 110), new("speech_to_text", "second", 60), new("text_to_speech", "character", 900), new("llm_input", "token", 12_000), new("llm_output", "token", 600),
        ]))).Value.Amount;
        Assert.That((await Bench.Tenant.BalanceAsync()).Held, Is.EqualTo(browser));
    }

    [Test]
    public async Task A_call_costs_what_the_card_says_of_the_longest_prefix_of_its_number()
    {
        await using var bench = await PhoneBench.StartAsync();
        var made = await bench.Host.SendAsync(HttpMethod.Post, "/v1/billing/rate-cards", TestHost.AdminKey, new
        {
            rates = new object[]
            {
                new { component = "telephony_outbound", unit = "second", rate = 60_000, prefix = "+1" },
                new { component = "telephony_outbound", unit = "second", rate = 70_000, prefix = "+1555", minimum = 60, increment = 6 },
                new { component = "telephony_outbound", unit = "second", rate = 80_000, prefix = "+15559" },
                new { component = "telephony_inbound", unit = "second", rate = 90_000, prefix = "+1555" },
            },
        });
        Assert.That(made.Status, Is.EqualTo(HttpStatusCode.Created), made.Body?.ToJsonString());
        var quote = await bench.Tenant.PostAsync("/v1/billing/quote", new { kind = "call", destination = PhoneBench.To, duration_s = 1 });
        var id = await bench.CallAsync();
        Assert.That((await bench.Tenant.BalanceAsync()).Held, Is.EqualTo(quote.Body!["hold"]!["amount"]!.GetValue<long>()).And.GreaterThan(60 * 70_000));
        var session = (await bench.UntilAsync(id, "in_progress"))["session_id"]!.GetValue<string>();
        await bench.TalkAsync(session);

        const string Line = "telephony_outbound:+1555 60 70000/1 4200000";
        var call = await bench.UntilAsync(id, "completed");
        Assert.That(call["cost"]!["lines"]!.AsArray().Select(Told), Does.Contain(Line));
        Assert.That(quote.Body["lines"]!.AsArray().Select(Told), Does.Contain(Line));

        // What is learnt later is another component's, and charges no second again.
        var before = await bench.Tenant.BalanceAsync();
        await bench.SendAsync(new ReportProgress(session, [], [], [new("text_to_speech", "local", "flite", "character", 50)], [], CallerPresent: true));
        Assert.That(await bench.Tenant.BalanceAsync(), Is.EqualTo((before.Available - 1000, 0L)));
        Assert.That((await bench.GetAsync(id))["cost"]!["lines"]!.AsArray().Count(l => Told(l) == Line), Is.EqualTo(1));
        var month = TimeProvider.System.GetUtcNow().ToString("yyyy-MM", System.Globalization.CultureInfo.InvariantCulture);
        var movements = (await bench.Tenant.GetAsync($"/v1/billing/statements/{month}")).Body!["movements"]!.AsArray();
        Assert.That(movements.Single(m => m!["component"]?.GetValue<string>() == "telephony_outbound:+1555")!["amount"]!.GetValue<long>(), Is.EqualTo(-4_200_000));
        Assert.That((await bench.Tenant.GetAsync("/v1/billing/verify")).Get<bool>("ok"));

        foreach (var (body, line) in new (object, string)[]
        {
            (new { kind = "call", destination = "+15559000000", duration_s = 1 }, "telephony_outbound:+15559 1 80000/1 80000"),
            (new { kind = "call", destination = "+12125550100", duration_s = 1 }, "telephony_outbound:+1 1 60000/1 60000"),
            (new { kind = "call", destination = "+493012345678", duration_s = 3 }, "telephony_outbound 3 400000/60 20000"),
            (new { kind = "call", direction = "inbound", destination = PhoneBench.To, duration_s = 1 }, "telephony_inbound:+1555 1 90000/1 90000"),
        })
        {
            Assert.That((await bench.Tenant.PostAsync("/v1/billing/quote", body)).Body!["lines"]!.AsArray().Select(Told), Does.Contain(line));
        }

        static string Told(JsonNode? l) => $"{l!["component"]} {l["quantity"]} {l["rate"]}/{l["per"]} {l["amount"]}";
    }

    [Test]
    public async Task What_is_learnt_of_a_call_after_its_end_is_charged_once_as_an_adjustment_and_told()
    {
        var id = await Bench.CallAsync();
        var session = (await Bench.UntilAsync(id, "in_progress"))["session_id"]!.GetValue<string>();
        Assert.That((await Bench.SendAsync(Report(100, 10))).Value.Continuation, Is.EqualTo(Continuation.GoOn));
        var ended = await Bench.Tenant.PostAsync($"/v1/calls/{id}/end");
        var cost = ended.Body!["cost"]!["amount"]!.GetValue<long>();
        var (before, held) = await Bench.Tenant.BalanceAsync();
        Assert.That(held, Is.Zero);

        // The agent had more to tell when somebody ended the call; and tells it twice, since the first answer was lost.
        Assert.That((await Bench.SendAsync(Report(100, 310))).Value.Continuation, Is.EqualTo(Continuation.Ended));
        Assert.That((await Bench.SendAsync(Report(100, 310))).Value.Continuation, Is.EqualTo(Continuation.Ended));

        // 300 characters at 20 credits a million.
        Assert.That(await Bench.Tenant.BalanceAsync(), Is.EqualTo((before - 6000, 0L)));
        Assert.That(async () => await Bench.EventsAsync(id, "call.adjusted"), Has.Count.EqualTo(1).After(20_000, 50));
        var told = (await Bench.EventsAsync(id, "call.adjusted")).Single()["data"]!;
        Assert.That((told["adjustment"]!["amount"]!.GetValue<long>(), told["cost"]!["amount"]!.GetValue<long>()), Is.EqualTo((6000L, cost + 6000)));
        var shown = (await Bench.Tenant.GetAsync($"/v1/calls/{id}/cost")).Body!;
        Assert.That((shown["amount"]!.GetValue<long>(), shown["lines"]!.AsArray().Sum(l => l!["amount"]!.GetValue<long>())), Is.EqualTo((cost + 6000, cost + 6000)));
        var posted = (await Bench.Tenant.GetAsync("/v1/billing/transactions?kind=adjustment")).Body!["data"]!.AsArray().Single()!;
        Assert.That(posted["id"]!.GetValue<string>(), Is.EqualTo(told["adjustment"]!["transaction_id"]!.GetValue<string>()));
        Assert.That((await Bench.Tenant.GetAsync("/v1/billing/verify")).Get<bool>("ok"), Is.True);

        // The books agree with the calls.
        Assert.That(await Bench.Tenant.DifferencesAsync(), Is.Empty);

        ReportProgress Report(long tokens, long characters) => new(
            session, [], [], [new("llm_input", "local", "script", "token", tokens) { Turn = 1 }, new("text_to_speech", "local", "flite", "character", characters) { Turn = 1 }], [], CallerPresent: true);
    }

    [Test]
    public async Task Voicemail_is_a_status_of_its_own()
    {
        var id = await Bench.CallAsync(new { voicemail = new { action = "hang_up" } });
        var session = (await Bench.UntilAsync(id, "in_progress"))["session_id"]!.GetValue<string>();
        var plan = await Bench.SendAsync(new AttendSession(session));
        Assert.That((plan.Value.Phone!.CallId, plan.Value.Phone.ToNumber, plan.Value.Phone.Voicemail.Action), Is.EqualTo((id, PhoneBench.To, Contracts.Assistants.VoicemailAction.HangUp)));
        await Bench.TalkAsync(session, EndReasons.Voicemail);
        Assert.That((await Bench.UntilAsync(id, "voicemail"))["ended_reason"]!.GetValue<string>(), Is.EqualTo("voicemail"));
    }

    [Test]
    public async Task The_same_key_is_the_same_call_and_another_body_with_it_is_refused()
    {
        var body = Bench.Body().ToJsonString();
        var first = await Bench.Tenant.PostAsync("/v1/calls", body, ("Idempotency-Key", "k1"));
        var again = await Bench.Tenant.PostAsync("/v1/calls", body, ("Idempotency-Key", "k1"));
        Assert.That((first.Status, again.Status), Is.EqualTo((HttpStatusCode.Accepted, HttpStatusCode.Accepted)));
        Assert.That((again.Get<string>("id"), again.Headers["Idempotency-Replayed"]), Is.EqualTo((first.Get<string>("id"), "true")));

        var other = await Bench.Tenant.PostAsync("/v1/calls", Bench.Body(new { to_number = "+15550178" }).ToJsonString(), ("Idempotency-Key", "k1"));
        Assert.That((other.Status, other.Code), Is.EqualTo((HttpStatusCode.UnprocessableEntity, "idempotency_key_reused")));
        Assert.That(await Bench.CountAsync($"SELECT count(*) FROM call.calls WHERE tenant_id = '{Bench.Tenant.TenantId}'"), Is.EqualTo(1));

        var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Bench.Tenant.PostAsync("/v1/calls", body, ("Idempotency-Key", "k2"))));
        Assert.That(answers.Where(a => a.Status == HttpStatusCode.Accepted).Select(a => a.Get<string>("id")).Distinct().Count(), Is.EqualTo(1));
        Assert.That(answers.Where(a => a.Status != HttpStatusCode.Accepted).Select(a => a.Code), Is.All.EqualTo("idempotency_in_progress"));
        Assert.That(await Bench.CountAsync($"SELECT count(*) FROM call.calls WHERE tenant_id = '{Bench.Tenant.TenantId}'"), Is.EqualTo(2));
    }

    [TestCase("""{"to_number": "5550177"}""", "to_number")]
    [TestCase("""{"to_number": "+0155501771"}""", "to_number")]
    [TestCase("""{"assistant_id": "nonsense"}""", "assistant_id")]
    [TestCase("""{"from_number": "+15559999"}""", "from_number")]
    [TestCase("""{"ring_timeout_s": 500}""", "ring_timeout_s")]
    [TestCase("""{"retry": {"max_attempts": 50}}""", "retry.max_attempts")]
    [TestCase("""{"retry": {"on": ["failed"]}}""", "retry.on")]
    [TestCase("""{"voicemail": {"action": "leave_message"}}""", "voicemail.message")]
    [TestCase("""{"assistant_overrides": {"llm": {"temperature": 9}}}""", "assistant_overrides.llm.temperature")]
    [TestCase("""{"webhook_url": "http://169.254.169.254/x"}""", "webhook_url")]
    public async Task A_bad_request_names_the_field_and_leaves_nothing(string change, string field)
    {
        var body = Bench.Body();
        foreach (var (name, value) in System.Text.Json.Nodes.JsonNode.Parse(change)!.AsObject())
        {
            body[name] = value?.DeepClone();
        }

        var answer = await Bench.Tenant.PostAsync("/v1/calls", body.ToJsonString());
        Assert.That(answer.Status, Is.EqualTo(HttpStatusCode.UnprocessableEntity), answer.Body?.ToJsonString());
        Assert.That(answer.Fields, Does.Contain(field));
        Assert.That(await Bench.CountAsync($"SELECT count(*) FROM call.calls WHERE tenant_id = '{Bench.Tenant.TenantId}'"), Is.Zero);
    }

    [Test]
    public async Task Calls_are_listed_by_page_and_filter_with_what_happened_to_them()
    {
        Bench.LiveKit.OnDial = (request, _) => request.SipCallTo == "+15550188" ? throw TwirpRefusal.Sip(486, "Busy Here") : Task.CompletedTask;
        var busy = await Bench.CallAsync(new { to_number = "+15550188" });
        await Bench.UntilAsync(busy, "busy");
        var second = await Bench.CallAsync();
        await Bench.UntilAsync(second, "in_progress");

        var page = await Bench.Tenant.GetAsync("/v1/calls?limit=1");
        Assert.That((page.Body!["data"]![0]!["id"]!.GetValue<string>(), page.Get<bool>("has_more")), Is.EqualTo((second, true)));
        page = await Bench.Tenant.GetAsync($"/v1/calls?limit=1&starting_after={page.Get<string>("next_cursor")}");
        Assert.That((page.Body!["data"]![0]!["id"]!.GetValue<string>(), page.Get<bool>("has_more")), Is.EqualTo((busy, false)));
        Assert.That(await IdsAsync("status=busy"), Is.EqualTo(new[] { busy }));
        Assert.That(await IdsAsync("direction=inbound"), Is.Empty);
        Assert.That(await IdsAsync($"assistant_id={Bench.Assistant}&from=2020-01-01T00:00:00Z"), Has.Count.EqualTo(2));
        Assert.That(await IdsAsync("to=2020-01-01T00:00:00Z"), Is.Empty);
        Assert.That((await Bench.Tenant.GetAsync("/v1/calls?status=lost")).Fields, Is.EqualTo(new[] { "status" }));

        var events = (await Bench.Tenant.GetAsync($"/v1/calls/{busy}/events")).Body!["data"]!.AsArray();
        Assert.That(events.Select(e => e!["kind"]!.GetValue<string>()), Is.EqualTo(new[] { "call.queued", "attempt.started", "attempt.ended", "call.ended" }));
        Assert.That((await Bench.Tenant.GetAsync($"/v1/calls/{busy}/cost")).Get<long>("amount"), Is.Zero);

        async Task<List<string>> IdsAsync(string filter) =>
            (await Bench.Tenant.GetAsync($"/v1/calls?{filter}")).Body!["data"]!.AsArray().Select(c => c!["id"]!.GetValue<string>()).ToList();
    }

    [Test]
    public async Task Another_tenants_things_are_not_there()
    {
        var stranger = await Bench.Host.SignUpAsync("Stranger");
        var id = await Bench.CallAsync();
        foreach (var path in new[] { "", "/transcript", "/events", "/cost", "/recording" })
        {
            Assert.That((await stranger.GetAsync($"/v1/calls/{id}{path}")).Status, Is.EqualTo(HttpStatusCode.NotFound), path);
        }

        Assert.That((await stranger.PostAsync($"/v1/calls/{id}/end")).Status, Is.EqualTo(HttpStatusCode.NotFound));
        Assert.That((await stranger.PostAsync($"/v1/calls/{id}/say", new { text = "x" })).Status, Is.EqualTo(HttpStatusCode.NotFound));
        Assert.That((await stranger.GetAsync("/v1/calls")).Body!["data"]!.AsArray(), Is.Empty);
        Assert.That((await stranger.PostAsync("/v1/calls", Bench.Body(null, await stranger.CreateAssistantAsync()).ToJsonString())).Status, Is.EqualTo(HttpStatusCode.NotFound), "its trunk");
        Assert.That((await stranger.PostAsync("/v1/calls", Bench.Body(null, null, await PhoneBench.TrunkAsync(stranger)).ToJsonString())).Status, Is.EqualTo(HttpStatusCode.NotFound), "its assistant");
    }
}
