using System.Net;
using VoicePlatform.Contracts.Billing;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.IntegrationTests.Calls;

namespace VoicePlatform.IntegrationTests.Sessions;

/// <summary>What a conversation holds grows with what it uses: by slices, and before it is needed.</summary>
internal sealed class HeldSlicesTests
{
    [Test]
    public async Task A_talkative_conversation_holds_what_is_to_come_and_asks_once_a_slice()
    {
        await using var bench = await PhoneBench.StartAsync();
        var started = await bench.Tenant.PostAsync("/v1/sessions", new { assistant_id = bench.Assistant });
        Assert.That(started.Status, Is.EqualTo(HttpStatusCode.Created), started.Body?.ToJsonString());
        var session = started.Get<string>("id");

        // After so much that nothing is left of the minute that the first hold has over, twenty slices of speech in forty reports.
        for (var used = 100_000; used < 118_000; used += 450)
        {
            var told = await bench.SendAsync(new ReportProgress(session, [], [], [new("text_to_speech", "local", "flite", "character", used)], [], CallerPresent: true));
            Assert.That(told.Value.Continuation, Is.EqualTo(Continuation.GoOn));
            var needed = (await bench.SendAsync(new PriceUse(bench.Tenant.TenantId, [new("text_to_speech", "character", used + 300), new("platform", "second", 60)]))).Value.Amount;
            Assert.That((await bench.Tenant.BalanceAsync()).Held, Is.GreaterThanOrEqualTo(needed), $"after {used} characters");
        }

        var extended = (await bench.Tenant.GetAsync($"/v1/billing/transactions?kind=extend&subject_id={session}")).Body!["data"]!.AsArray().Count;
        Assert.That(extended, Is.InRange(2, 20));
        Assert.That((await bench.Tenant.GetAsync("/v1/billing/verify")).Get<bool>("ok"), Is.True);
    }
}
