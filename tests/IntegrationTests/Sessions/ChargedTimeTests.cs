using System.Net;
using System.Text.Json.Nodes;
using VoicePlatform.Calls;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.IntegrationTests.Calls;
using VoicePlatform.IntegrationTests.Support;
using VoicePlatform.LiveKit.Protocol;

namespace VoicePlatform.IntegrationTests.Sessions;

/// <summary>A conversation is charged for as long as it was held, whoever notices its end and whenever.</summary>
internal sealed class ChargedTimeTests
{
    // The last report, and one that was not due yet.
    private static readonly (double From, double To) AMinute = (59.9, 65.1);

    private PhoneBench _bench = null!;

    [SetUp]
    public async Task SetUpAsync() => _bench = await PhoneBench.StartAsync();

    [TearDown]
    public async Task TearDownAsync() => await _bench.DisposeAsync();

    [Test]
    public async Task A_call_that_nobody_reported_on_for_an_hour_is_charged_for_the_minute_it_lasted_when_it_is_ended()
    {
        var (id, _) = await TalkingAsync();
        await LastSeenAsync("1 hour", "59 minutes");

        Assert.That((await _bench.Tenant.PostAsync($"/v1/calls/{id}/end")).Status, Is.EqualTo(HttpStatusCode.OK));

        await AssertMinuteAsync(id);
    }

    [Test]
    public async Task A_call_that_outlived_its_time_while_the_host_was_down_is_charged_for_the_minute_it_lasted()
    {
        var (id, session) = await TalkingAsync();
        await LastSeenAsync("5 hours", "4 hours 59 minutes");
        await _bench.ExecuteAsync($"UPDATE call.calls SET deadline_at = now() - interval '4 hours' WHERE id = '{id}'");

        Assert.That((await _bench.SendAsync(new EndOverdueCall(id, session))).IsOk);

        await AssertMinuteAsync(id);
    }

    [Test]
    public async Task A_room_whose_end_is_told_late_does_not_make_its_conversation_longer()
    {
        var (session, room) = await SpeakingAsync();
        await LastSeenAsync("1 hour", "59 minutes");

        var told = await FakeLiveKit.TellAsync(_bench.Host, new WebhookEvent
        {
            Id = "EV_1", Event = "room_finished", CreatedAt = TimeProvider.System.GetUtcNow().ToUnixTimeSeconds(), Room = new Room { Name = room },
        });

        Assert.That(told, Is.EqualTo(HttpStatusCode.OK));
        Assert.That(await LastedAsync(session), Is.InRange(AMinute.From, AMinute.To));
    }

    [Test]
    public async Task A_conversation_that_is_reported_on_is_charged_to_its_end_and_never_beyond_its_limit_and_a_goodbye()
    {
        var (session, _) = await SpeakingAsync();
        await LastSeenAsync("100 seconds", "2 seconds");
        await _bench.Tenant.PostAsync($"/v1/sessions/{session}/end");
        Assert.That(await LastedAsync(session), Is.InRange(100, 103));

        (session, _) = await SpeakingAsync();
        await LastSeenAsync("10 hours", "2 seconds");
        await _bench.Tenant.PostAsync($"/v1/sessions/{session}/end");
        Assert.That(await LastedAsync(session), Is.EqualTo(1_800 + 10));
    }

    [Test]
    public async Task An_end_that_is_told_late_is_of_the_time_when_it_was_and_so_are_the_last_words()
    {
        var (session, _) = await SpeakingAsync();
        await LastSeenAsync("100 seconds", "90 seconds");
        var hungUpAt = (await _bench.Tenant.GetAsync($"/v1/sessions/{session}")).Body!["started_at"]!.GetValue<DateTimeOffset>().AddSeconds(40);

        await _bench.SendAsync(new ReportProgress(session, [new(1, 1, Speaker.User, "Bye.", hungUpAt, hungUpAt, false)], [], [], [], CallerPresent: true) { At = hungUpAt });
        Assert.That((await _bench.SendAsync(new FinishSession(session, EndReasons.CallerLeft) { EndedAt = hungUpAt })).IsOk);

        Assert.That(await LastedAsync(session), Is.EqualTo(40).Within(1));
    }

    [Test]
    public async Task A_report_whose_answer_was_lost_is_told_again_and_kept_once()
    {
        var (session, _) = await SpeakingAsync();
        var at = TimeProvider.System.GetUtcNow();
        var report = new ReportProgress(
            session, [new(7, 3, Speaker.User, "Hello.", at, at, false)], [], [new("text_to_speech", "local", "flite", "character", 30)],
            [new(at, "tool.called", "weather"), new(at, "tool.called", "news")], CallerPresent: true);
        for (var n = 0; n < 3; n++)
        {
            Assert.That((await _bench.SendAsync(report)).IsOk);
        }

        var events = (await _bench.Tenant.GetAsync($"/v1/sessions/{session}/events")).Body!["data"]!.AsArray();
        Assert.That(events.Select(e => e!["detail"]!.GetValue<string>()).Where(d => d is "weather" or "news"), Is.EqualTo(new[] { "weather", "news" }));
        Assert.That((await _bench.Tenant.GetAsync($"/v1/sessions/{session}/transcript")).Body!["data"]!.AsArray().Count(l => l!["text"]!.GetValue<string>() == "Hello."), Is.EqualTo(1));
    }

    [Test]
    public async Task An_end_from_before_the_beginning_is_the_beginning()
    {
        var (session, _) = await SpeakingAsync();
        Assert.That((await _bench.SendAsync(new FinishSession(session, EndReasons.AgentFailed) { EndedAt = TimeProvider.System.GetUtcNow().AddMinutes(-5) })).IsOk);
        Assert.That(await LastedAsync(session), Is.Zero);
    }

    [Test]
    public async Task A_conversation_in_text_ends_when_that_is_noticed()
    {
        var session = await _bench.Tenant.StartTextSessionAsync(_bench.Assistant);
        var since = TimeProvider.System.GetTimestamp();
        await LastSeenAsync("20 minutes", "10 minutes");
        await _bench.Tenant.PostAsync($"/v1/sessions/{session}/end");
        Assert.That(await LastedAsync(session), Is.InRange((20 * 60) - 0.1, (20 * 60) + 0.1 + TimeProvider.System.GetElapsedTime(since).TotalSeconds));
    }

    /// <summary>A call that somebody answered.</summary>
    private async Task<(string Call, string Session)> TalkingAsync()
    {
        var id = await _bench.CallAsync();
        return (id, (await _bench.UntilAsync(id, "in_progress"))["session_id"]!.GetValue<string>());
    }

    /// <summary>A conversation in a browser whose caller is there.</summary>
    private async Task<(string Session, string Room)> SpeakingAsync()
    {
        var started = await _bench.Tenant.PostAsync("/v1/sessions", new { assistant_id = _bench.Assistant });
        Assert.That(started.Status, Is.EqualTo(HttpStatusCode.Created), started.Body?.ToJsonString());
        await _bench.SendAsync(new ReportProgress(started.Get<string>("id"), [], [], [], [], CallerPresent: true));
        return (started.Get<string>("id"), started.Get<string>("room_name"));
    }

    /// <summary>What is open began, and was reported on for the last time, so long ago.</summary>
    private Task LastSeenAsync(string began, string seen) => _bench.ExecuteAsync(
        $"""
        UPDATE session.sessions SET created_at = now() - interval '{began}', started_at = now() - interval '{began}', last_seen_at = now() - interval '{seen}' WHERE status <> 'ended';
        UPDATE call.calls SET answered_at = now() - interval '{began}' WHERE ended_at IS NULL
        """);

    private async Task<double> LastedAsync(string session)
    {
        var ended = (await _bench.Tenant.GetAsync($"/v1/sessions/{session}")).Body!;
        Assert.That(ended["status"]!.GetValue<string>(), Is.EqualTo("ended"), ended.ToJsonString());
        var lasted = (ended["ended_at"]!.GetValue<DateTimeOffset>() - ended["started_at"]!.GetValue<DateTimeOffset>()).TotalSeconds;
        if (ended["room_name"] is not null)
        {
            Assert.That(await SecondsChargedAsync(session), Is.EqualTo(lasted).Within(1));
        }

        return lasted;
    }

    private async Task AssertMinuteAsync(string id)
    {
        var call = await _bench.UntilAsync(id, "completed");
        Assert.That(call["duration_s"]!.GetValue<double>(), Is.InRange(AMinute.From, AMinute.To), call.ToJsonString());
        Assert.That(call["billable_s"]!.GetValue<long>(), Is.InRange(60, 66));
        Assert.That(await SecondsChargedAsync(id), Is.EqualTo(call["billable_s"]!.GetValue<long>()));
        Assert.That(() => _bench.EventsAsync(id, "call.completed"), Has.Count.EqualTo(1).After(20_000, 50));
        var told = (JsonNode)(await _bench.EventsAsync(id, "call.completed")).Single()["data"]!;
        Assert.That((told["ended_at"]!.GetValue<DateTimeOffset>() - told["answered_at"]!.GetValue<DateTimeOffset>()).TotalSeconds, Is.InRange(AMinute.From, AMinute.To));
        Assert.That((await _bench.Tenant.BalanceAsync()).Held, Is.Zero);
    }

    /// <summary>By the second, in the books.</summary>
    private Task<long> SecondsChargedAsync(string subject) => _bench.CountAsync(
        $"""
        SELECT coalesce(sum(e.quantity), 0) FROM billing.transactions t JOIN billing.entries e ON e.transaction_id = t.id
        WHERE t.metadata->>'subject_id' = '{subject}' AND e.component = 'platform'
        """);
}
