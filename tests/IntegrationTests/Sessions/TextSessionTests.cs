using System.Net;
using MediatR;
using Microsoft.Extensions.DependencyInjection;
using VoicePlatform.Contracts.Billing;
using VoicePlatform.IntegrationTests.Assistants;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Sessions;

internal sealed class TextSessionTests
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
    public async Task A_conversation_in_text_is_answered_kept_charged_and_announced()
    {
        await using var receiver = await WebhookReceiver.StartAsync();
        var webhook = await _tenant.PostAsync("/v1/webhooks", new { url = receiver.Url });
        var (before, _) = await _tenant.BalanceAsync();
        var session = await _tenant.StartTextSessionAsync(await _tenant.CreateAssistantAsync(), new { name = "Ada" });
        Assert.That((await _tenant.BalanceAsync()).Held, Is.Positive);

        var running = await _tenant.GetAsync($"/v1/sessions/{session}");

        var first = await _tenant.PostAsync($"/v1/sessions/{session}/messages", new { text = "What is my name?" });
        Assert.That((first.Get<string>("text"), first.Get<bool>("ended")), Is.EqualTo(("Your name is Ada.", false)));
        var last = await _tenant.PostAsync($"/v1/sessions/{session}/messages", new { text = "bye" });
        Assert.That((last.Get<string>("text"), last.Get<bool>("ended")), Is.EqualTo(("Goodbye.", true)));

        var ended = await _tenant.GetAsync($"/v1/sessions/{session}");
        Assert.That((ended.Get<string>("status"), ended.Get<string>("ended_reason")), Is.EqualTo(("ended", "assistant_ended")));
        var cost = ended.Get<long>("cost");
        Assert.That(cost, Is.EqualTo(20_000));
        Assert.That(await _tenant.BalanceAsync(), Is.EqualTo((before - cost, 0L)));

        var used = (await _tenant.GetAsync($"/v1/sessions/{session}/usage")).Body!["data"]!.AsArray();
        Assert.That(used.Select(u => (u!["component"]!.GetValue<string>(), u["quantity"]!.GetValue<long>(), u["measured"]!.GetValue<long>(), u["reported"] is null)), Is.EqualTo(new[] { ("message", 2L, 2L, true) }));
        var byTurn = (await _tenant.GetAsync($"/v1/sessions/{session}/usage?by_turn=true")).Body!["data"]!.AsArray();
        Assert.That(byTurn.Select(u => (u!["turn"]!.GetValue<int>(), u["component"]!.GetValue<string>(), u["quantity"]!.GetValue<long>())), Is.EqualTo(new[] { (1, "message", 1L), (2, "message", 1L) }));

        // Who has it already is told so; who has it as it was before is not.
        Assert.That((await ReadAgainAsync(session, ended.Headers["ETag"])).Status, Is.EqualTo(HttpStatusCode.NotModified));
        Assert.That((await ReadAgainAsync(session, running.Headers["ETag"])).Status, Is.EqualTo(HttpStatusCode.OK));

        var lines = (await _tenant.GetAsync($"/v1/sessions/{session}/transcript")).Body!["data"]!.AsArray();
        Assert.That(
            lines.Select(l => (l!["speaker"]!.GetValue<string>(), l["text"]!.GetValue<string>())),
            Is.EqualTo(new[] { ("user", "What is my name?"), ("agent", "Your name is Ada."), ("user", "bye"), ("agent", "Goodbye.") }));

        var received = await receiver.NextAsync();
        Assert.That(received.IsSignedWith(webhook.Get<string>("secret")), Is.True);
        Assert.That(received.Json["type"]!.GetValue<string>(), Is.EqualTo("session.completed"));
        Assert.That(received.Json["data"]!["cost"]!["amount"]!.GetValue<long>(), Is.EqualTo(cost));
        Assert.That(received.Json["data"]!["transcript"]!.AsArray(), Has.Count.EqualTo(4));
        Assert.That((await _tenant.GetAsync("/v1/billing/verify")).Get<bool>("ok"), Is.True);

        Assert.That((await _tenant.PostAsync($"/v1/sessions/{session}/messages", new { text = "still there?" })).Code, Is.EqualTo("session.already_ended"));
    }

    [Test]
    public async Task Ending_from_many_sides_at_once_ends_charges_and_announces_once()
    {
        var session = await _tenant.StartTextSessionAsync(await _tenant.CreateAssistantAsync());
        await _tenant.PostAsync($"/v1/sessions/{session}/messages", new { text = "hello" });

        var answers = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => _tenant.PostAsync($"/v1/sessions/{session}/end")));

        Assert.That(answers.Select(a => a.Status), Is.All.EqualTo(HttpStatusCode.OK));
        Assert.That(answers.Select(a => a.Get<string>("ended_at")).Distinct().Count(), Is.EqualTo(1));
        var transactions = (await _tenant.GetAsync($"/v1/billing/transactions?subject_id={session}")).Body!["data"]!.AsArray();
        Assert.That(transactions.Count(t => t!["kind"]!.GetValue<string>() == "charge"), Is.EqualTo(1));
        Assert.That(
            async () => (await _tenant.GetAsync("/v1/events")).Body!["data"]!.AsArray().Count(e => e!["subject_id"]!.GetValue<string>() == session),
            Is.EqualTo(1).After(20_000, 100));
    }

    [Test]
    public async Task Two_messages_at_once_are_one_turn_after_the_other_or_refused()
    {
        var session = await _tenant.StartTextSessionAsync(await _tenant.CreateAssistantAsync());
        var answers = await Task.WhenAll(Enumerable.Range(0, 6).Select(n => _tenant.PostAsync($"/v1/sessions/{session}/messages", new { text = $"message {n}" })));

        var answered = answers.Count(a => a.Status == HttpStatusCode.OK);
        Assert.That(answered, Is.Positive);
        Assert.That(answers.Where(a => a.Status != HttpStatusCode.OK).Select(a => a.Code), Is.All.EqualTo("session.busy"));
        var lines = (await _tenant.GetAsync($"/v1/sessions/{session}/transcript")).Body!["data"]!.AsArray();
        Assert.That(lines.Select(l => l!["speaker"]!.GetValue<string>()), Is.EqualTo(Enumerable.Repeat(new[] { "user", "agent" }, answered).SelectMany(x => x)));
    }

    [Test]
    public async Task A_test_key_costs_nothing_and_is_marked()
    {
        var made = await _tenant.PostAsync("/v1/keys", new { name = "test", scopes = new[] { "admin", "finance" }, mode = "test" });
        Assert.That(made.Get<string>("key"), Does.StartWith("lvk_test_"));
        var tester = _tenant.WithKey(made.Get<string>("key"));
        await using var receiver = await WebhookReceiver.StartAsync();
        await tester.PostAsync("/v1/webhooks", new { url = receiver.Url });
        var before = await tester.BalanceAsync();

        var session = await tester.StartTextSessionAsync(await tester.CreateAssistantAsync());
        await tester.PostAsync($"/v1/sessions/{session}/messages", new { text = "bye" });

        Assert.That(await tester.BalanceAsync(), Is.EqualTo(before));
        Assert.That((await tester.GetAsync($"/v1/sessions/{session}")).Get<bool>("test"), Is.True);
        Assert.That((await receiver.NextAsync()).Json["test"]!.GetValue<bool>(), Is.True);
    }

    [Test]
    public async Task A_running_conversation_keeps_the_version_it_started_with()
    {
        var assistant = await _tenant.CreateAssistantAsync();
        var session = await _tenant.StartTextSessionAsync(assistant, new { name = "Ada" });
        await _tenant.PatchAsync($"/v1/assistants/{assistant}", """{"llm": {"options": {"rules": [], "otherwise": "New."}}}""");

        var answer = await _tenant.PostAsync($"/v1/sessions/{session}/messages", new { text = "name" });
        Assert.That(answer.Get<string>("text"), Is.EqualTo("Your name is Ada."));
    }

    [Test]
    public async Task An_answer_to_a_conversation_that_was_ended_meanwhile_is_kept_and_charged_once()
    {
        await using var server = await TenantServer.StartAsync();
        await using var host = await TestHost.StartAsync(("OPENAI_API_KEY", "key"), ("OPENAI_BASE_URL", $"{server.Url}/v1"));
        var tenant = await host.SignUpAsync();
        var (asked, goOn) = (new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously), new SemaphoreSlim(0));
        server.Chat = _ => Slowly();
        var assistant = await tenant.CreateAssistantAsync(new { name = "Slow", architecture = "text", llm = new { model = "openai/gpt-test" } });
        var (before, _) = await tenant.BalanceAsync();
        var session = await tenant.StartTextSessionAsync(assistant);

        var answering = tenant.PostAsync($"/v1/sessions/{session}/messages", new { text = "hello" });
        await asked.Task.WaitAsync(TimeSpan.FromSeconds(20));
        var ended = await tenant.PostAsync($"/v1/sessions/{session}/end");
        Assert.That((ended.Get<string>("ended_reason"), ended.Get<long>("cost")), Is.EqualTo(("requested", 0L)));
        goOn.Release();
        var answer = await answering;

        Assert.That((answer.Status, answer.Get<string>("text"), answer.Get<bool>("ended")), Is.EqualTo((HttpStatusCode.OK, "Hello to you.", true)));
        var lines = (await tenant.GetAsync($"/v1/sessions/{session}/transcript")).Body!["data"]!.AsArray();
        Assert.That(lines.Select(l => l!["text"]!.GetValue<string>()), Is.EqualTo(new[] { "hello", "Hello to you." }));
        var usage = (await tenant.GetAsync($"/v1/sessions/{session}/usage")).Body!["data"]!.AsArray().ToDictionary(u => u!["component"]!.GetValue<string>(), u => u!["quantity"]!.GetValue<long>());
        Assert.That((usage["message"], usage["llm_input"], usage["llm_output"]), Is.EqualTo((1L, 2_000L, 100L)));
        var cost = (await tenant.GetAsync($"/v1/sessions/{session}")).Get<long>("cost");
        Assert.That(cost, Is.GreaterThan(10_000), "the message and the tokens");
        Assert.That(await tenant.BalanceAsync(), Is.EqualTo((before - cost, 0L)));
        Assert.That((await tenant.GetAsync("/v1/billing/transactions?kind=adjustment")).Body!["data"]!.AsArray(), Has.Count.EqualTo(1));
        var reconciled = await host.SendAsync(HttpMethod.Get, "/v1/billing/reconciliation", TestHost.AdminKey);
        Assert.That(reconciled.Get<bool>("ok"), Is.True, reconciled.Body!.ToJsonString());

        IEnumerable<object> Slowly()
        {
            asked.TrySetResult();
            goOn.Wait(TimeSpan.FromSeconds(20));
            yield return new { choices = new[] { new { delta = new { content = "Hello to you." } } } };
            yield return new { choices = new[] { new { delta = new { }, finish_reason = "stop" } } };
            yield return new { choices = Array.Empty<object>(), usage = new { prompt_tokens = 2_000, completion_tokens = 100 } };
        }
    }

    [Test]
    public async Task Nothing_is_answered_when_the_hold_is_over()
    {
        var session = await _tenant.StartTextSessionAsync(await _tenant.CreateAssistantAsync());
        await using (var scope = _host.Services.CreateAsyncScope())
        {
            Assert.That((await scope.ServiceProvider.GetRequiredService<IMediator>().Send(new SettleHold(_tenant.TenantId, session, []))).IsOk);
        }

        var refused = await _tenant.PostAsync($"/v1/sessions/{session}/messages", new { text = "hello" });
        Assert.That((refused.Status, refused.Code), Is.EqualTo((HttpStatusCode.PaymentRequired, "session.not_covered")));
        Assert.That((await _tenant.GetAsync($"/v1/sessions/{session}/transcript")).Body!["data"]!.AsArray(), Is.Empty);
    }

    private Task<Answer> ReadAgainAsync(string session, string tag) => _host.SendAsync(HttpMethod.Get, $"/v1/sessions/{session}", _tenant.Key, null, ("If-None-Match", tag));
}
