using System.Net;
using System.Text.Json.Nodes;
using Npgsql;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Contract;

internal sealed class AnalyticsTests
{
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
    public async Task Calls_are_counted_by_day_assistant_and_number()
    {
        // Calls that ended in the past cannot be made over the API.
        await CallAsync("a1", "outbound", "completed", "+14155550100", "+14155550001", "2026-10-01T10:00:00Z", talked: 60, cost: 1_000);
        await CallAsync("a1", "outbound", "no_answer", "+14155550100", "+14155550002", "2026-10-01T23:59:59Z", talked: null, cost: 0);
        await CallAsync("a2", "inbound", "completed", "+14155550003", "+14155550199", "2026-10-02T00:00:00Z", talked: 30, cost: 500);
        await CallAsync("a2", "inbound", "in_progress", "+14155550003", "+14155550199", "2026-10-02T12:00:00Z", talked: null, cost: 0);
        await CallAsync("a1", "outbound", "failed", "+14155550100", "+14155550002", "2026-11-01T00:00:00Z", talked: null, cost: 0);
        const string Range = "from=2026-10-01T00:00:00Z&to=2026-11-01T00:00:00Z";

        var byDay = (await _tenant.GetAsync($"/v1/analytics/calls?{Range}")).Body!;
        Assert.That(Rows(byDay, "group", "calls", "completed", "no_answer", "open"), Is.EqualTo(new[] { "2026-10-01 2 1 1 0", "2026-10-02 2 1 0 1" }));
        var total = byDay["total"]!;
        Assert.That((total["calls"]!.GetValue<int>(), total["cost"]!.GetValue<long>(), total["duration_s"]!.GetValue<double>(), total["average_duration_s"]!.GetValue<double>()), Is.EqualTo((4, 1_500L, 90.0, 45.0)));
        Assert.That(total["answer_rate"]!.GetValue<double>(), Is.EqualTo(0.6667));

        var byAssistant = (await _tenant.GetAsync($"/v1/analytics/calls?{Range}&group_by=assistant")).Body!;
        Assert.That(Rows(byAssistant, "group", "calls", "outbound", "inbound"), Is.EqualTo(new[] { "a1 2 2 0", "a2 2 0 2" }));
        var byNumber = (await _tenant.GetAsync($"/v1/analytics/calls?{Range}&group_by=number&assistant_id=a2")).Body!;
        Assert.That(Rows(byNumber, "group", "calls"), Is.EqualTo(new[] { "+14155550199 2" }));

        var stranger = await _host.SignUpAsync("Stranger");
        Assert.That((await stranger.GetAsync($"/v1/analytics/calls?{Range}")).Body!["total"]!["calls"]!.GetValue<int>(), Is.Zero);
    }

    [Test]
    public async Task Latency_is_told_by_percentiles_of_each_stage()
    {
        var session = await SessionAsync("a1", "2026-10-01T10:00:00Z");
        for (var turn = 1; turn <= 100; turn++)
        {
            await ExecuteAsync(
                "INSERT INTO session.turns (session_id, turn, endpointing_ms, first_token_ms, response_ms, interrupted) VALUES ($1, $2, $3, 200, $4, $5)", session, turn, turn, turn * 10, turn <= 5);
        }

        var answer = (await _tenant.GetAsync("/v1/analytics/latency?from=2026-10-01T00:00:00Z&to=2026-10-02T00:00:00Z")).Body!;
        var day = answer["data"]![0]!;
        Assert.That((day["group"]!.GetValue<string>(), day["turns"]!.GetValue<int>(), day["interrupted"]!.GetValue<int>()), Is.EqualTo(("2026-10-01", 100, 5)));
        Assert.That(day["response"]!.ToJsonString(), Is.EqualTo("""{"count":100,"p50":505,"p95":950.5,"p99":990.1}"""));
        Assert.That(day["first_token"]!["p99"]!.GetValue<double>(), Is.EqualTo(200));
        Assert.That(day["transcription"]!.ToJsonString(), Is.EqualTo("""{"count":0,"p50":null,"p95":null,"p99":null}"""));
        Assert.That(answer["total"]!["endpointing"]!.ToJsonString(), Is.EqualTo(day["endpointing"]!.ToJsonString()));
    }

    [Test]
    public async Task Usage_adds_up_what_each_provider_did()
    {
        var one = await SessionAsync("a1", "2026-10-01T10:00:00Z");
        var other = await SessionAsync("a2", "2026-10-02T10:00:00Z");
        await ExecuteAsync("INSERT INTO session.usage VALUES ($1, 'llm_output', 'local', 'script', 'token', 10), ($2, 'llm_output', 'local', 'script', 'token', 7), ($2, 'message', 'platform', 'text', 'message', 1)", one, other);

        var answer = (await _tenant.GetAsync("/v1/analytics/usage?from=2026-10-01T00:00:00Z&to=2026-10-03T00:00:00Z&group_by=assistant")).Body!;
        Assert.That(Rows(answer, "group", "sessions"), Is.EqualTo(new[] { "a1 1", "a2 1" }));
        Assert.That(answer["total"]!["components"]!.AsArray().Select(c => $"{c!["component"]} {c["quantity"]}"), Is.EqualTo(new[] { "llm_output 17", "message 1" }));
        Assert.That(answer["data"]![1]!["components"]!.AsArray().Select(c => $"{c!["component"]} {c["quantity"]}"), Is.EqualTo(new[] { "llm_output 7", "message 1" }));
    }

    [TestCase("from=2026-01-01T00:00:00Z&to=2026-06-01T00:00:00Z", "from", HttpStatusCode.UnprocessableEntity)]
    [TestCase("from=2026-06-01T00:00:00Z&to=2026-06-01T00:00:00Z", "from", HttpStatusCode.UnprocessableEntity)]
    [TestCase("to=0001-01-01T00:00:00Z", "to", HttpStatusCode.UnprocessableEntity)]
    [TestCase("group_by=7", "group_by", HttpStatusCode.UnprocessableEntity)]
    [TestCase("group_by=planet", "group_by", HttpStatusCode.UnprocessableEntity)]
    [TestCase("from=yesterday", "from", HttpStatusCode.BadRequest)]
    public async Task A_range_or_a_word_that_is_wrong_is_named(string query, string field, HttpStatusCode status)
    {
        foreach (var what in new[] { "calls", "latency", "usage" })
        {
            var answer = await _tenant.GetAsync($"/v1/analytics/{what}?{query}");
            Assert.That((answer.Status, answer.Fields.Single()), Is.EqualTo((status, field)), what);
        }
    }

    private static IEnumerable<string> Rows(JsonNode answer, params string[] columns) =>
        answer["data"]!.AsArray().Select(row => string.Join(' ', columns.Select(c => row![c]!.ToString())));

    private Task CallAsync(string assistant, string direction, string status, string from, string to, string at, int? talked, long cost)
    {
        var created = DateTimeOffset.Parse(at, null);
        var isOver = status is not "in_progress";
        return ExecuteAsync(
            """
            INSERT INTO call.calls (id, tenant_id, direction, status, assistant_id, assistant_version, assistant_name, trunk_id, from_number, to_number, is_test, metadata, variables,
              voicemail, retry, ring_timeout_s, max_duration_s, is_seed_003, created_at, answered_at, ended_at, cost, record, record_separate)
            VALUES ($1, $2, $3, $4, $5, 1, 'A', 'trk', $6, $7, false, '{}', '{}', '{}', '{}', 30, 600, false, $8, $9, $10, $11, false, false)
            """,
            SharedKernel.Ids.New("cal", created), _tenant.TenantId, direction, status, assistant, from, to, created, talked is null && isOver ? DBNull.Value : created,
            isOver ? created.AddSeconds(talked ?? 20) : DBNull.Value, cost);
    }

    private async Task<string> SessionAsync(string assistant, string at)
    {
        var created = DateTimeOffset.Parse(at, null);
        var id = SharedKernel.Ids.New("ses", created);
        await ExecuteAsync(
            """
            INSERT INTO session.sessions (id, tenant_id, assistant_id, assistant_version, room_name, participant_identity, text_only, is_test, status, variables, metadata, max_duration_s,
              created_at, started_at, ended_at, last_seen_at, cost, hold_subject)
            VALUES ($1, $2, $3, 1, $1, 'x', true, false, 'ended', '{}', '{}', 600, $4, $4, $5, $4, 10, $1)
            """,
            id, _tenant.TenantId, assistant, created, created.AddSeconds(10));
        return id;
    }

    private async Task ExecuteAsync(string sql, params object[] values)
    {
        await using var source = NpgsqlDataSource.Create(_host.Database.Owner);
        await using var command = source.CreateCommand(sql);
        foreach (var value in values)
        {
            command.Parameters.Add(new() { Value = value });
        }

        await command.ExecuteNonQueryAsync();
    }
}
