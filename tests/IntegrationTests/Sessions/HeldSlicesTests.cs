using System.Net;
using MediatR;
using Microsoft.Extensions.DependencyInjection;
using VoicePlatform.Contracts.Billing;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.IntegrationTests.Billing;
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

        var extended = (await bench.Tenant.GetAsync($"/v1/billing/transactions?kind=extend&subject_id={session}&limit=100")).Body!["data"]!.AsArray().Count;
        Assert.That(extended, Is.InRange(2, 20));
        Assert.That((await bench.Tenant.GetAsync("/v1/billing/verify")).Get<bool>("ok"), Is.True);
    }

    [Test]
    public async Task Who_has_no_hold_and_is_no_test_does_not_go_on_for_nothing()
    {
        // A host of its own: these books are no longer sound afterwards.
        await using var books = await Books.OpenAsync();
        await books.TopUpAsync(100_000_000);
        var assistant = await books.Tenant.CreateAssistantAsync();
        var spoken = (await books.Tenant.PostAsync("/v1/sessions", new { assistant_id = assistant })).Get<string>("id");
        var written = await books.Tenant.StartTextSessionAsync(assistant);
        await using var scope = books.Host.Services.CreateAsyncScope();
        var mediator = scope.ServiceProvider.GetRequiredService<IMediator>();
        var report = new ReportProgress(spoken, [], [], [], [], CallerPresent: true);
        Assert.That((await mediator.Send(report)).Value.Continuation, Is.EqualTo(Continuation.GoOn));

        await books.AsSuperuserAsync($"DELETE FROM billing.holds WHERE subject_id IN ('{spoken}', '{written}')");
        Assert.That((await mediator.Send(report)).Value.Continuation, Is.EqualTo(Continuation.OutOfCredits));
        Assert.That((await books.Tenant.PostAsync($"/v1/sessions/{written}/messages", new { text = "hello" })).Status, Is.EqualTo(HttpStatusCode.PaymentRequired));
    }
}
