using System.Net;
using System.Text.Json.Nodes;
using MediatR;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.IntegrationTests.Calls;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Sessions;

/// <summary>What was said is kept for as long as the assistant wants. That a recording goes too is in the tests of real calls.</summary>
internal sealed class RetentionTests
{
    private const string Job = "session.forget";

    private TestHost _host = null!;
    private TestTenant _tenant = null!;

    [SetUp]
    public async Task SetUpAsync()
    {
        _host = await TestHost.SharedAsync();
        _tenant = await _host.SignUpAsync();
    }

    [TearDown]
    public async Task TearDownAsync() => await _host.DisposeAsync();

    [Test]
    public async Task When_its_time_is_over_what_was_said_is_gone_and_what_it_cost_is_not()
    {
        await using var receiver = await WebhookReceiver.StartAsync();
        var webhook = (await _tenant.PostAsync("/v1/webhooks", new { url = receiver.Url })).Get<string>("id");
        var forgetful = await TalkAsync(await AssistantAsync(retentionDays: 2));
        var keeping = await TalkAsync(await AssistantAsync(retentionDays: null));
        var told = await TypesAsync(forgetful);
        await _tenant.SettledAsync(webhook, told.Count * 2);
        var (cost, usage) = (await CostAsync(forgetful), (await _tenant.GetAsync($"/v1/sessions/{forgetful}/usage")).Body!);
        Assert.That((cost, (await _tenant.GetAsync($"/v1/sessions/{forgetful}/analysis")).Status), Is.EqualTo((20_000, HttpStatusCode.OK)));

        await _host.RunJobAsync(Job);
        Assert.That((await LinesAsync(forgetful), (await SessionAsync(forgetful))["forgotten_at"]), Is.EqualTo((4, (JsonNode?)null)), "Not before its time.");
        var days = await _host.SqlAsync("SELECT forget_at - ended_at = interval '2 days' FROM session.sessions WHERE id = $1", forgetful);
        Assert.That(days, Is.True);

        await PassTimeAsync(forgetful);
        await Task.WhenAll(Enumerable.Range(0, 3).Select(_ => _host.RunJobAsync(Job)));
        Assert.That(await LinesAsync(forgetful), Is.Zero);
        Assert.That((await _tenant.GetAsync($"/v1/sessions/{forgetful}/events")).Body!["data"]!.AsArray(), Is.Empty);
        Assert.That((await _tenant.GetAsync($"/v1/sessions/{forgetful}/analysis")).Status, Is.EqualTo(HttpStatusCode.NotFound));
        Assert.That((await _tenant.PostAsync($"/v1/sessions/{forgetful}/analysis")).Status, Is.EqualTo(HttpStatusCode.Conflict), "There is nothing left to analyse.");
        Assert.That(() => TypesAsync(forgetful), Is.Empty.After(20_000, 50));
        Assert.That(await _host.SqlAsync("SELECT count(*) FROM tenant.deliveries WHERE subject_id = $1", forgetful), Is.Zero);

        var session = await SessionAsync(forgetful);
        Assert.That((session["status"]!.GetValue<string>(), session["metadata"]!["order"]!.GetValue<string>(), session["forgotten_at"] is null), Is.EqualTo(("ended", "4711", false)));
        Assert.That(await CostAsync(forgetful), Is.EqualTo(cost));
        Assert.That(JsonNode.DeepEquals((await _tenant.GetAsync($"/v1/sessions/{forgetful}/usage")).Body!, usage));
        Assert.That((await _tenant.GetAsync($"/v1/billing/transactions?subject_id={forgetful}")).Body!["data"]!.AsArray(), Is.Not.Empty);
        Assert.That(await _tenant.DifferencesAsync(), Is.Empty);
        Assert.That((await _tenant.GetAsync("/v1/billing/verify")).Get<bool>("ok"), Is.True);

        Assert.That((await LinesAsync(keeping), (await SessionAsync(keeping))["forgotten_at"], await TypesAsync(keeping)), Is.EqualTo((4, (JsonNode?)null, told)));
        await _tenant.SettledAsync(webhook, told.Count);
    }

    [Test]
    public async Task What_counts_is_the_assistant_as_it_was()
    {
        var assistant = await AssistantAsync(retentionDays: 1);
        var early = await TalkAsync(assistant);
        Assert.That((await _tenant.PatchAsync($"/v1/assistants/{assistant}", new { retention_days = (int?)null })).Status, Is.EqualTo(HttpStatusCode.OK));
        var late = await TalkAsync(assistant);
        await PassTimeAsync(early, late);
        await _host.RunJobAsync(Job);
        Assert.That((await LinesAsync(early), await LinesAsync(late)), Is.EqualTo((0, 4)));
    }

    [Test]
    public async Task Events_that_are_on_their_way_arrive_before_they_go()
    {
        var let = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var receiver = await WebhookReceiver.StartAsync(async (_, _, _) =>
        {
            await let.Task;
            return Results.Ok();
        });
        await _tenant.PostAsync("/v1/webhooks", new { url = receiver.Url, event_types = new[] { "session.completed" } });
        var session = await TalkAsync(await AssistantAsync(retentionDays: 1));
        await PassTimeAsync(session);
        await _host.RunJobAsync(Job);
        Assert.That((await LinesAsync(session), (await SessionAsync(session))["forgotten_at"] is null), Is.EqualTo((0, false)));
        Assert.That(await TypesAsync(session), Does.Contain("session.completed"));

        let.SetResult();
        Assert.That((await receiver.NextAsync()).Json["data"]!["transcript"]!.AsArray(), Has.Count.EqualTo(4), "As it was frozen.");
        Assert.That(
            async () =>
            {
                await _host.RunJobAsync(Job);
                return await TypesAsync(session);
            },
            Is.Empty.After(20_000, 50));
    }

    [Test]
    public async Task A_conversation_that_is_being_analysed_is_left_until_that_is_over()
    {
        var session = await TalkAsync(await AssistantAsync(retentionDays: 1));
        await _host.SqlAsync("UPDATE session.analyses SET status = 'pending', ended_at = NULL, next_attempt_at = 'infinity' WHERE session_id = $1", session);
        await PassTimeAsync(session);
        await _host.RunJobAsync(Job);
        Assert.That(await LinesAsync(session), Is.EqualTo(4));
        await _host.SqlAsync("UPDATE session.analyses SET status = 'failed', ended_at = now() WHERE session_id = $1", session);
        await _host.RunJobAsync(Job);
        Assert.That(await LinesAsync(session), Is.Zero);
    }

    [Test]
    public async Task Who_asks_for_an_analysis_while_it_is_removed_waits_and_finds_nothing()
    {
        var session = await TalkAsync(await AssistantAsync(retentionDays: 1));
        await using var source = NpgsqlDataSource.Create(_host.Database.Owner);
        await using var removing = await source.OpenConnectionAsync();
        await using var transaction = await removing.BeginTransactionAsync();
        await using (var remove = new NpgsqlCommand(
            "SELECT FROM session.sessions WHERE id = $1 FOR UPDATE", removing, transaction) { Parameters = { new() { Value = session } } })
        {
            await remove.ExecuteNonQueryAsync();
            remove.CommandText = "DELETE FROM session.lines WHERE session_id = $1";
            await remove.ExecuteNonQueryAsync();
        }

        var asked = _tenant.PostAsync($"/v1/sessions/{session}/analysis");
        await using var waiting = source.CreateCommand($"SELECT EXISTS (SELECT FROM pg_stat_activity WHERE {removing.ProcessID} = ANY (pg_blocking_pids(pid)))");
        Assert.That(async () => asked.IsCompleted || await waiting.ExecuteScalarAsync() is true, Is.True.After(20_000, 20));
        Assert.That(asked.IsCompleted, Is.False);
        await transaction.CommitAsync();
        Assert.That(((await asked).Status, (await asked).Code), Is.EqualTo((HttpStatusCode.Conflict, "analysis.nothing_said")));
    }

    [Test]
    public async Task What_an_agent_tells_afterwards_goes_too()
    {
        var session = await TalkAsync(await AssistantAsync(retentionDays: 1));
        await PassTimeAsync(session);
        await _host.RunJobAsync(Job);
        var now = TimeProvider.System.GetUtcNow();
        await using (var scope = _host.Services.CreateAsyncScope())
        {
            Assert.That((await scope.ServiceProvider.GetRequiredService<IMediator>().Send(
                new ReportProgress(session, [new(9, 3, Speaker.User, "One more thing.", now, now, false)], [], [], [], CallerPresent: true))).IsOk);
        }

        // It was kept, and goes again: with this run of the job or with another test's.
        Assert.That(
            async () =>
            {
                await _host.RunJobAsync(Job);
                return await _host.SqlAsync("SELECT cleared_at >= $2 FROM session.sessions WHERE id = $1", session, now);
            },
            Is.True.After(20_000, 50));
        Assert.That(await LinesAsync(session), Is.Zero);
    }

    [Test]
    public async Task A_recording_that_is_not_here_may_be_another_hosts_for_a_week()
    {
        await using var bench = await PhoneBench.StartAsync();
        var call = await bench.CallAsync(new { schedule_at = TimeProvider.System.GetUtcNow().AddHours(1) });
        await UnwantedAsync("1 hour");
        Assert.That(await RecordingAsync(), Is.Not.Null);
        await UnwantedAsync("8 days");
        Assert.That(await RecordingAsync(), Is.Null);

        async Task UnwantedAsync(string since)
        {
            await bench.Host.SqlAsync(
                $"""
                UPDATE call.calls SET recording_status = 'ready', recording_path = 'recordings/nobody/has.ogg', recording_in_bucket = false, recording_size = 10,
                  recording_unwanted_at = now() - interval '{since}' WHERE id = $1
                """, call);
            await bench.Host.RunJobAsync("call.remove-recordings");
        }

        async Task<JsonNode?> RecordingAsync() => (await bench.Tenant.GetAsync($"/v1/calls/{call}")).Body!["recording"];
    }

    private async Task<string> AssistantAsync(int? retentionDays) => await _tenant.CreateAssistantAsync(new
    {
        name = "Forgetful", retention_days = retentionDays,
        llm = new { model = "local/script", options = new { rules = new object[] { new { when = "bye", say = "Goodbye.", end_call = true } }, otherwise = "Yours at seven." } },
        analysis = new { success = "The caller has a table.", llm = new { model = "local/script", options = new { rules = Array.Empty<object>(), otherwise = "{}" } } },
    });

    /// <summary>Four lines, ended and analysed.</summary>
    private async Task<string> TalkAsync(string assistant)
    {
        var session = (await _tenant.PostAsync("/v1/sessions", new { assistant_id = assistant, text_only = true, metadata = new { order = "4711" } })).Get<string>("id");
        await _tenant.PostAsync($"/v1/sessions/{session}/messages", new { text = "A table for four, please." });
        Assert.That((await _tenant.PostAsync($"/v1/sessions/{session}/messages", new { text = "bye" })).Get<bool>("ended"), Is.True);
        Assert.That(() => TypesAsync(session), Does.Contain("analysis.failed").After(20_000, 50), "A script analyses nothing.");
        return session;
    }

    /// <summary>As if the time for which it is kept were over; nothing where it is kept for good.</summary>
    private Task PassTimeAsync(params string[] sessions) => _host.SqlAsync("UPDATE session.sessions SET forget_at = now() - interval '1 second' WHERE id = ANY ($1) AND forget_at IS NOT NULL", [sessions]);

    private async Task<int> LinesAsync(string session) => (await _tenant.GetAsync($"/v1/sessions/{session}/transcript")).Body!["data"]!.AsArray().Count;

    private async Task<JsonNode> SessionAsync(string session) => (await _tenant.GetAsync($"/v1/sessions/{session}")).Body!;

    private async Task<long> CostAsync(string session) => (await SessionAsync(session))["cost"]!.GetValue<long>();

    private async Task<List<string>> TypesAsync(string session) =>
        [.. (await _tenant.GetAsync("/v1/events?limit=100")).Body!["data"]!.AsArray().Where(e => e!["subject_id"]!.GetValue<string>() == session).Select(e => e!["type"]!.GetValue<string>())];
}
