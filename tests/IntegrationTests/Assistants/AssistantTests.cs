using System.Net;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Assistants;

internal sealed class AssistantTests
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
    public async Task An_assistant_is_answered_with_every_default_filled_in()
    {
        var answer = await _tenant.PostAsync("/v1/assistants", new { name = "Plain" });

        Assert.That(answer.Status, Is.EqualTo(HttpStatusCode.Created));
        Assert.That(answer.Headers["ETag"], Is.EqualTo("\"1\""));
        Assert.That(answer.Headers["Location"], Is.EqualTo($"/v1/assistants/{answer.Get<string>("id")}"));
        Assert.That(answer.Get<string>("architecture"), Is.EqualTo("pipeline"));
        Assert.That(answer.Body!["turn"]!["min_endpointing_s"]!.GetValue<double>(), Is.EqualTo(0.5));
        Assert.That(answer.Body!["limits"]!["max_duration_s"]!.GetValue<int>(), Is.EqualTo(1800));
    }

    [TestCase("{}", "name", "required")]
    [TestCase("""{"name": ""}""", "name", "not_empty")]
    [TestCase("""{"name": 5}""", "name", "wrong_type")]
    [TestCase("""{"name": "x", "promt": ""}""", "promt", "unknown_field")]
    [TestCase("""{"name": "x", "greeting": {"txt": "Hi"}}""", "greeting.txt", "unknown_field")]
    [TestCase("""{"name": "x", "architecture": "quantum"}""", "architecture", "wrong_type")]
    [TestCase("""{"name": "x", "turn": {"min_endpointing_s": 99}}""", "turn.min_endpointing_s", "inclusive_between")]
    [TestCase("""{"name": "x", "turn": {"min_endpointing_s": 3, "max_endpointing_s": 1}}""", "turn.max_endpointing_s", "predicate")]
    [TestCase("""{"name": "x", "limits": {"max_duration_s": 1}}""", "limits.max_duration_s", "inclusive_between")]
    [TestCase("""{"name": "x", "limits": null}""", "limits", "not_null")]
    [TestCase("""{"name": "x", "stt": {"model": "no slash"}}""", "stt.model", "predicate")]
    [TestCase("""{"name": "x", "llm": {"temperature": 9}}""", "llm.temperature", "inclusive_between")]
    [TestCase("""{"name": "x", "tts": {"speed": 9}}""", "tts.speed", "inclusive_between")]
    [TestCase("""{"name": "x", "architecture": "realtime"}""", "realtime", "not_null")]
    [TestCase("""{"name": "x", "end_call_url": "ftp://x"}""", "end_call_url", "predicate")]
    [TestCase("""{"name": "x", "end_call_url": "http://169.254.169.254/latest"}""", "end_call_url", "not_allowed")]
    [TestCase("""{"name": "x", "llm": {"model": "local/script", "options": {"rules": [{"when": "(", "say": "x"}]}}}""", "llm.options.rules[0].when", "")]
    [TestCase("""{"name": "x", "llm": {"model": "local/script", "options": {"rules": 5}}}""", "llm.options.rules", "")]
    public async Task A_bad_document_is_refused_by_the_name_of_its_field(string document, string field, string code)
    {
        var answer = await _tenant.PostAsync("/v1/assistants", document);

        Assert.That((answer.Status, answer.Code), Is.EqualTo((HttpStatusCode.UnprocessableEntity, "request.invalid")), answer.Body?.ToJsonString());
        Assert.That(answer.Fields, Does.Contain(field), answer.Body!.ToJsonString());
        if (code.Length > 0)
        {
            Assert.That(answer.Body!["errors"]!.AsArray().Select(e => e!["code"]!.GetValue<string>()), Does.Contain(code));
        }

        Assert.That((await _tenant.GetAsync("/v1/assistants")).Body!["data"]!.AsArray(), Is.Empty);
    }

    [TestCase("{", HttpStatusCode.BadRequest)]
    [TestCase("", HttpStatusCode.BadRequest)]
    [TestCase("[]", HttpStatusCode.UnprocessableEntity)]
    [TestCase("null", HttpStatusCode.UnprocessableEntity)]
    public async Task What_is_no_document_is_refused(string body, HttpStatusCode status) =>
        Assert.That((await _tenant.PostAsync("/v1/assistants", body)).Status, Is.EqualTo(status));

    [Test]
    public async Task Every_change_makes_a_version_and_the_old_ones_stay()
    {
        var id = await _tenant.CreateAssistantAsync(new { name = "First", prompt = "Be kind.", variables = new { city = "Bern", food = "cheese" } });

        var changed = await _tenant.PatchAsync($"/v1/assistants/{id}", """{"name": "Second", "prompt": null, "variables": {"food": null, "drink": "tea"}}""");

        Assert.That(changed.Get<int>("version"), Is.EqualTo(2));
        Assert.That(changed.Get<string>("prompt"), Is.Empty);
        Assert.That(changed.Body!["variables"]!.ToJsonString(), Is.EqualTo("""{"city":"Bern","drink":"tea"}"""));
        var versions = (await _tenant.GetAsync($"/v1/assistants/{id}/versions")).Body!["data"]!.AsArray();
        Assert.That(versions.Select(v => v!["document"]!["name"]!.GetValue<string>()), Is.EqualTo(new[] { "Second", "First" }));

        var restored = await _tenant.PostAsync($"/v1/assistants/{id}/versions/1/restore");
        Assert.That((restored.Get<int>("version"), restored.Get<string>("name")), Is.EqualTo((3, "First")));
        Assert.That((await _tenant.PostAsync($"/v1/assistants/{id}/versions/9/restore")).Code, Is.EqualTo("assistant.version_not_found"));
    }

    [Test]
    public async Task If_match_refuses_a_change_to_what_has_changed()
    {
        var id = await _tenant.CreateAssistantAsync();
        Assert.That((await _tenant.PatchAsync($"/v1/assistants/{id}", new { name = "B" }, ("If-Match", "\"1\""))).Status, Is.EqualTo(HttpStatusCode.OK));
        Assert.That((await _tenant.PatchAsync($"/v1/assistants/{id}", new { name = "C" }, ("If-Match", "\"1\""))).Status, Is.EqualTo(HttpStatusCode.PreconditionFailed));
    }

    [Test]
    public async Task Changes_at_the_same_moment_do_not_overwrite_each_other()
    {
        var id = await _tenant.CreateAssistantAsync();
        var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(n => _tenant.PatchAsync($"/v1/assistants/{id}", new { name = $"N{n}" })));

        var done = answers.Count(a => a.Status == HttpStatusCode.OK);
        Assert.That(answers.Where(a => a.Status != HttpStatusCode.OK).Select(a => a.Code), Is.All.EqualTo("assistant.changed_meanwhile"));
        Assert.That((await _tenant.GetAsync($"/v1/assistants/{id}")).Get<int>("version"), Is.EqualTo(1 + done));
    }

    [Test]
    public async Task A_deleted_assistant_starts_nothing_more()
    {
        var id = await _tenant.CreateAssistantAsync();
        Assert.That((await _tenant.DeleteAsync($"/v1/assistants/{id}")).Status, Is.EqualTo(HttpStatusCode.NoContent));
        Assert.That((await _tenant.GetAsync($"/v1/assistants/{id}")).Status, Is.EqualTo(HttpStatusCode.NotFound));
        Assert.That((await _tenant.PostAsync("/v1/sessions", new { assistant_id = id, text_only = true })).Status, Is.EqualTo(HttpStatusCode.NotFound));
    }

    [Test]
    public async Task Lists_go_on_from_a_cursor_and_miss_nothing()
    {
        var made = new List<string>();
        for (var n = 0; n < 5; n++)
        {
            made.Add(await _tenant.CreateAssistantAsync(new { name = $"A{n}" }));
        }

        var read = new List<string>();
        string? cursor = null;
        do
        {
            var page = await _tenant.GetAsync($"/v1/assistants?limit=2{(cursor is null ? "" : $"&starting_after={cursor}")}");
            read.AddRange(page.Body!["data"]!.AsArray().Select(a => a!["id"]!.GetValue<string>()));
            cursor = page.Body["next_cursor"]?.GetValue<string>();
            Assert.That(page.Get<bool>("has_more"), Is.EqualTo(cursor is not null));
        }
        while (cursor is not null);

        Assert.That(read, Is.EqualTo(Enumerable.Reverse(made)));
        Assert.That((await _tenant.GetAsync("/v1/assistants?limit=0")).Fields, Does.Contain("limit"));
        Assert.That((await _tenant.GetAsync("/v1/assistants?limit=101")).Fields, Does.Contain("limit"));
    }
}
