using System.Text.Json.Nodes;
using VoicePlatform.Client;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Contract;

/// <summary>The generated C# client against the real host: what a customer's program does.</summary>
internal sealed class CSharpClientTests
{
    private TestHost _host = null!;
    private TestTenant _tenant = null!;
    private VoicePlatformClient _client = null!;

    [SetUp]
    public async Task SetUpAsync()
    {
        _host = await TestHost.SharedAsync();
        _tenant = await _host.SignUpAsync();
        _client = new VoicePlatformClient(_host.Http, _tenant.Key);
    }

    [TearDown]
    public async Task TearDownAsync() => await _host.DisposeAsync();

    [Test]
    public async Task An_assistant_is_made_once_changed_by_those_who_saw_it_and_listed_page_by_page()
    {
        var etag = "";
        var document = new AssistantDocument { Name = "Desk", Architecture = Architecture.Pipeline, Limits = new() { MaxDurationS = 600 } };
        var made = await _client.CreateAssistantAsync(document, new() { IdempotencyKey = "once", Answered = a => etag = a.ETag ?? "" });
        AnswerFacts? second = null;
        var again = await _client.CreateAssistantAsync(document, new() { IdempotencyKey = "once", Answered = a => second = a });
        Assert.That((again.Id, second!.IsReplay, second.Status), Is.EqualTo((made.Id, true, 201)));
        Assert.That((made.Limits.MaxDurationS, made.Turn.Detection, made.RetentionDays), Is.EqualTo((600, TurnDetection.Vad, (int?)null)));

        var changed = await _client.UpdateAssistantAsync(made.Id, new() { RetentionDays = 30, Greeting = new GreetingPatch { Text = "Hello!" } }, new() { IfMatch = etag });
        Assert.That((changed.Version, changed.RetentionDays, changed.Greeting.Text, changed.Greeting.SpeakFirst), Is.EqualTo((2, (int?)30, "Hello!", true)));
        var back = await _client.UpdateAssistantAsync(made.Id, new() { RetentionDays = new Change<int?>(null) });
        Assert.That(back.RetentionDays, Is.Null);
        var stale = Assert.ThrowsAsync<ProblemException>(() => _client.UpdateAssistantAsync(made.Id, new() { Name = "Late" }, new() { IfMatch = etag }))!;
        Assert.That((stale.Status, stale.Code), Is.EqualTo((412, "etag.changed")));

        for (var i = 0; i < 104; i++)
        {
            await _client.CreateAssistantAsync(new() { Name = $"Desk {i}" });
        }

        var names = new List<string>();
        await foreach (var row in _client.ListAssistantsAllAsync())
        {
            names.Add(row.Name);
        }

        Assert.That(names, Has.Count.EqualTo(105).And.Unique);
        Assert.That((names[0], names[^1]), Is.EqualTo(("Desk 103", "Desk")));
    }

    [Test]
    public async Task A_conversation_is_held_paid_for_and_told_to_a_webhook()
    {
        await using var receiver = await WebhookReceiver.StartAsync();
        var webhook = await _client.CreateWebhookAsync(new() { Url = receiver.Url, EventTypes = ["session.completed"] });
        Assert.That(webhook.Secret, Does.StartWith("whsec_"));

        var script = new JsonObject { ["rules"] = new JsonArray(new JsonObject { ["when"] = "name", ["say"] = "Your name is {{name}}." }), ["otherwise"] = "Pardon?" };
        var assistant = await _client.CreateAssistantAsync(new()
        {
            Name = "Scripted",
            Llm = new() { Model = "local/script", Options = script },
        });
        var before = await _client.GetBalanceAsync();
        var session = await _client.StartSessionAsync(new() { AssistantId = assistant.Id, TextOnly = true, Variables = new Dictionary<string, string> { ["name"] = "Ada" } });
        var reply = await _client.SendMessageAsync(session.Id, new() { Text = "What is my name?" });
        Assert.That((reply.Text, reply.Ended), Is.EqualTo(("Your name is Ada.", false)));

        var ended = await _client.EndSessionAsync(session.Id);
        Assert.That((ended.Status, ended.EndedReason, ended.Cost), Is.EqualTo((SessionStatus.Ended, "requested", (long?)10_000)));
        var after = await _client.GetBalanceAsync();
        Assert.That((after.Posted, after.Held), Is.EqualTo((before.Posted - 10_000, 0L)));
        Assert.That((await _client.VerifyLedgerAsync()).Ok, Is.True);
        var kinds = new List<TransactionKind>();
        await foreach (var transaction in _client.ListTransactionsAllAsync())
        {
            Assert.That(transaction.Entries.Sum(e => e.Amount), Is.Zero);
            kinds.Add(transaction.Kind);
        }

        Assert.That(kinds, Is.Not.Empty);
        var lines = (await _client.GetTranscriptAsync(session.Id)).Data;
        Assert.That(lines.Select(l => l.Text), Is.EqualTo(new[] { "What is my name?", "Your name is Ada." }));
        Assert.That((await receiver.NextAsync()).Json["type"]!.GetValue<string>(), Is.EqualTo("session.completed"));

        var usage = await _client.GetUsageAnalyticsAsync(groupBy: "assistant");
        Assert.That((usage.Data.Single().Group, usage.Data.Single().Sessions, usage.Total.Cost), Is.EqualTo((assistant.Id, 1L, 10_000L)));
    }

    [Test]
    public void Refusals_are_told_with_their_code_and_fields()
    {
        var invalid = Assert.ThrowsAsync<ProblemException>(() => _client.CreateWebhookAsync(new() { Url = "ftp://example.com" }))!;
        Assert.That((invalid.Status, invalid.Code, invalid.Fields.Single().Field), Is.EqualTo((422, "request.invalid", "url")));
        Assert.That(invalid.RequestId, Is.Not.Empty);

        var missing = Assert.ThrowsAsync<ProblemException>(() => _client.GetSessionAsync("ses01kaz7m4qe3v9x2w5r8t6y1he1"))!;
        Assert.That((missing.Status, missing.Code), Is.EqualTo((404, "session.not_found")));

        var stranger = Assert.ThrowsAsync<ProblemException>(() => new VoicePlatformClient(_host.Http, "lvk_live_nobody").ListKeysAsync())!;
        Assert.That((stranger.Status, stranger.Code), Is.EqualTo((401, "auth.key_invalid")));
    }
}
