using System.Net;
using System.Text.Json.Nodes;
using VoicePlatform.IntegrationTests.Seeds;
using VoicePlatform.IntegrationTests.Support;
using VoicePlatform.LiveKit.Protocol;

namespace VoicePlatform.IntegrationTests.Sessions;

/// <summary>Conversations that somebody else's agent holds: their rooms are watched. One host, and devices of each test's own.</summary>
internal sealed class WatchedRoomsTests
{
    private static FakeLiveKit _livekit = null!;
    private static FakeAiServer _ai = null!;
    private static TestHost _host = null!;
    private static TestTenant _tenant = null!;

    private readonly string _device = $"device-{Guid.CreateVersion7():N}";

    [OneTimeSetUp]
    public static async Task StartAsync()
    {
        (_livekit, _ai) = (await FakeLiveKit.StartAsync(), await FakeAiServer.StartAsync());
        _host = await TestHost.StartAsync([.. _livekit.Settings, ("COMPAT_TENANT", "on"), ("AI_SERVER_URL", _ai.Url), ("AI_SERVER_SHARED_SECRET", "the secret of the two servers")]);
        _tenant = await _host.CompatTenantAsync();
    }

    [OneTimeTearDown]
    public static async Task EndAsync()
    {
        await _host.DisposeAsync();
        await _livekit.DisposeAsync();
        await _ai.DisposeAsync();
    }

    [TestCase("1 hour", "59 minutes")]
    [TestCase("5 hours", "4 hours 59 minutes", Description = "its longest duration is over too")]
    public async Task A_caller_who_left_while_nobody_looked_is_charged_until_last_seen(string began, string seen)
    {
        var session = await StartAsync(_device);
        await ExecuteAsync(
            $"""
            UPDATE session.sessions SET status = 'active', max_duration_s = 3700,
              created_at = now() - interval '{began}', started_at = now() - interval '{began}', last_seen_at = now() - interval '{seen}'
            WHERE id = '{session}'
            """);

        var ended = await UntilAsync(session, "ended");

        Assert.That(ended["ended_reason"]!.GetValue<string>(), Is.EqualTo("caller_left"));
        Assert.That((ended["ended_at"]!.GetValue<DateTimeOffset>() - ended["started_at"]!.GetValue<DateTimeOffset>()).TotalSeconds, Is.EqualTo(60).Within(0.1));
    }

    [Test]
    public async Task A_caller_who_stays_is_charged_for_the_longest_duration_and_no_more()
    {
        var session = await StartAsync(_device);
        Come(_device);
        await ExecuteAsync($"UPDATE session.sessions SET status = 'active', started_at = now() - interval '103 seconds', last_seen_at = now(), max_duration_s = 100 WHERE id = '{session}'");

        var ended = await UntilAsync(session, "ended");

        Assert.That(ended["ended_reason"]!.GetValue<string>(), Is.EqualTo("max_duration"));
        Assert.That((ended["ended_at"]!.GetValue<DateTimeOffset>() - ended["started_at"]!.GetValue<DateTimeOffset>()).TotalSeconds, Is.EqualTo(100).Within(0.1));
    }

    [Test]
    public async Task One_that_cannot_be_looked_at_does_not_keep_the_others_unseen()
    {
        var broken = await StartAsync($"{_device}-1");
        var other = await StartAsync($"{_device}-2");
        await ExecuteAsync(
            $"""
            CREATE FUNCTION session.break() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'broken'; END $$;
            CREATE TRIGGER broken BEFORE UPDATE ON session.sessions FOR EACH ROW WHEN (old.id = '{broken}') EXECUTE FUNCTION session.break()
            """);
        Come($"{_device}-1");
        Come($"{_device}-2");

        await UntilAsync(other, "active");
        Assert.That((await _tenant.GetAsync($"/v1/sessions/{broken}")).Get<string>("status"), Is.EqualTo("created"));

        await ExecuteAsync("DROP TRIGGER broken ON session.sessions");
        await UntilAsync(broken, "active");
    }

    private static async Task<string> StartAsync(string device)
    {
        var started = await _host.SendAsync(HttpMethod.Post, "/v1/livekit/starter/session/start", null, new { username = "Ada", deviceId = device });
        Assert.That(started.Status, Is.EqualTo(HttpStatusCode.OK), started.Body?.ToJsonString());
        return started.Get<string>("sessionId");
    }

    private static void Come(string device)
    {
        var room = _livekit.Rooms.Single(r => r.Key.Contains(device, StringComparison.Ordinal));
        room.Value.Add(new ParticipantInfo { Identity = device });
    }

    private static async Task<JsonNode> UntilAsync(string session, string status)
    {
        JsonNode found = null!;
        Assert.That(
            async () => (found = (await _tenant.GetAsync($"/v1/sessions/{session}")).Body!)["status"]!.GetValue<string>(), Is.EqualTo(status).After(30_000, 100),
            () => $"{found.ToJsonString()}\n{string.Join('\n', _host.Log.Lines.Where(l => !l.StartsWith("Info", StringComparison.Ordinal)))}");
        return found;
    }

    private static async Task ExecuteAsync(string sql)
    {
        await using var source = Npgsql.NpgsqlDataSource.Create(_host.Database.Owner);
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }
}
