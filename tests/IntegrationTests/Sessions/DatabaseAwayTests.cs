using System.Net;
using System.Text.Json.Nodes;
using VoicePlatform.IntegrationTests.Seeds;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Sessions;

[RealTime]
internal sealed class DatabaseAwayTests
{
    [Test]
    public async Task A_caller_who_hangs_up_while_the_database_is_away_is_charged_until_then_and_not_until_it_is_back()
    {
        await using var host = await TestHost.StartWithAgentAsync();
        var tenant = await host.SignUpAsync();
        var started = await tenant.PostAsync("/v1/sessions", new { assistant_id = await tenant.CreateAssistantAsync(), participant = new { identity = "ada" } });
        Assert.That(started.Status, Is.EqualTo(HttpStatusCode.Created), started.Body?.ToJsonString());
        await using (var visitor = await Visitor.JoinAsync(started.Get<string>("livekit_url"), started.Get<string>("token")))
        {
            Assert.That(async () => (await SessionAsync())["status"]!.GetValue<string>(), Is.EqualTo("active").After(15_000, 100));
            await host.Database.GoAwayAsync();
        }

        var hungUpAt = TimeProvider.System.GetUtcNow();
        await Task.Delay(TimeSpan.FromSeconds(6), TimeProvider.System);
        await host.Database.ComeBackAsync();

        Assert.That(async () => (await SessionAsync())["status"]?.GetValue<string>(), Is.EqualTo("ended").After(15_000, 100));
        var session = await SessionAsync();
        Assert.That(session["ended_reason"]!.GetValue<string>(), Is.EqualTo("caller_left"));
        Assert.That(session["ended_at"]!.GetValue<DateTimeOffset>(), Is.EqualTo(hungUpAt).Within(TimeSpan.FromSeconds(2)));
        Assert.That((await tenant.BalanceAsync()).Held, Is.Zero);

        async Task<JsonNode> SessionAsync() => (await tenant.GetAsync($"/v1/sessions/{started.Get<string>("id")}")).Body!;
    }
}
