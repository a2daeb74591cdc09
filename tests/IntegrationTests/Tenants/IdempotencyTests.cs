using System.Net;
using Microsoft.AspNetCore.Http;
using Npgsql;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Tenants;

/// <summary>Idempotency-Key on POST: one effect and one answer, however often the request comes.</summary>
internal sealed class IdempotencyTests
{
    private TestHost _host = null!;
    private TestTenant _tenant = null!;

    [SetUp]
    public async Task SetUpAsync()
    {
        _host = await TestHost.SharedAsync();
        _tenant = await _host.SignUpAsync();
    }

    [Test]
    public async Task A_command_is_done_once_and_answers_the_same_with_its_secret_sealed_at_rest()
    {
        var body = new { name = "ci", scopes = new[] { "read" } };
        var first = await _tenant.PostAsync("/v1/keys", body, ("Idempotency-Key", "a"));
        var again = await _tenant.PostAsync("/v1/keys", body, ("Idempotency-Key", "a"));

        Assert.That(again.Body!.ToJsonString(), Is.EqualTo(first.Body!.ToJsonString()));
        Assert.That((first.Headers.ContainsKey("Idempotency-Replayed"), again.Headers["Idempotency-Replayed"]), Is.EqualTo((false, "true")));
        Assert.That(await CountAsync($"SELECT count(*) FROM tenant.keys WHERE tenant_id = '{_tenant.TenantId}' AND name = 'ci'"), Is.EqualTo(1));
        var secret = first.Get<string>("key")["lvk_".Length..];
        Assert.That(await CountAsync($"SELECT count(*) FROM platform.idempotency i WHERE i::text LIKE '%{secret}%' OR encode(answer, 'escape') LIKE '%{secret}%'"), Is.Zero);
    }

    [Test]
    public async Task An_effect_outside_the_database_is_done_once_too()
    {
        var assistant = await _tenant.CreateAssistantAsync();
        var body = new { assistant_id = assistant, participant = new { identity = "caller" } };
        var first = await _tenant.PostAsync("/v1/sessions", body, ("Idempotency-Key", "s"));
        var again = await _tenant.PostAsync("/v1/sessions", body, ("Idempotency-Key", "s"));
        Assert.That((first.Status, again.Body!.ToJsonString()), Is.EqualTo((HttpStatusCode.Created, first.Body!.ToJsonString())));
        Assert.That(await CountAsync($"SELECT count(*) FROM session.sessions WHERE tenant_id = '{_tenant.TenantId}'"), Is.EqualTo(1));

        var session = await _tenant.StartTextSessionAsync(assistant);
        var said = await _tenant.PostAsync($"/v1/sessions/{session}/messages", new { text = "Hello" }, ("Idempotency-Key", "m"));
        var repeated = await _tenant.PostAsync($"/v1/sessions/{session}/messages", new { text = "Hello" }, ("Idempotency-Key", "m"));
        Assert.That((repeated.Get<int>("turn"), repeated.Headers["Idempotency-Replayed"]), Is.EqualTo((said.Get<int>("turn"), "true")));
        Assert.That((await _tenant.GetAsync($"/v1/sessions/{session}/transcript")).Body!["data"]!.AsArray(), Has.Count.EqualTo(2));
    }

    [TestCase("/v1/keys")]
    [TestCase("/v1/assistants")]
    [TestCase("/v1/sessions")]
    public async Task Another_body_with_the_key_is_refused_and_so_is_the_same_body_elsewhere(string path)
    {
        object body = path switch
        {
            "/v1/keys" => new { name = "n", scopes = new[] { "read" } },
            "/v1/assistants" => new { name = "n" },
            _ => new { assistant_id = await _tenant.CreateAssistantAsync(), text_only = true },
        };
        Assert.That((await _tenant.PostAsync(path, body, ("Idempotency-Key", "k"))).Status, Is.EqualTo(HttpStatusCode.Created));

        var changed = System.Text.Json.JsonSerializer.SerializeToNode(body)!.AsObject();
        changed[path == "/v1/sessions" ? "metadata" : "name"] = path == "/v1/sessions" ? new System.Text.Json.Nodes.JsonObject() : "other";
        var other = await _tenant.PostAsync(path, changed.ToJsonString(), ("Idempotency-Key", "k"));
        Assert.That((other.Status, other.Code), Is.EqualTo((HttpStatusCode.UnprocessableEntity, "idempotency_key_reused")));
        var elsewhere = await _tenant.PostAsync("/v1/webhooks", new { url = "http://127.0.0.1:9/" }, ("Idempotency-Key", "k"));
        Assert.That(elsewhere.Code, Is.EqualTo("idempotency_key_reused"));
    }

    [Test]
    public async Task Requests_at_the_same_moment_have_one_effect()
    {
        var assistant = await _tenant.CreateAssistantAsync();
        foreach (var (path, body, table) in new (string, object, string)[]
        {
            ("/v1/assistants", new { name = "n" }, "assistant.assistants WHERE name = 'n' AND"),
            ("/v1/sessions", new { assistant_id = assistant, text_only = true }, "session.sessions WHERE"),
        })
        {
            var answers = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => _tenant.PostAsync(path, body, ("Idempotency-Key", path))));
            var good = answers.Where(a => a.Status == HttpStatusCode.Created).ToList();
            Assert.That(good.Select(a => a.Get<string>("id")).Distinct().Count(), Is.EqualTo(1));
            Assert.That(answers.Except(good).Select(a => (a.Status, a.Code)), Is.All.EqualTo((HttpStatusCode.Conflict, "idempotency_in_progress")));
            Assert.That(await CountAsync($"SELECT count(*) FROM {table} tenant_id = '{_tenant.TenantId}'"), Is.EqualTo(1));
        }
    }

    [Test]
    public async Task Whoever_goes_away_in_the_middle_gets_the_answer_with_his_next_request()
    {
        await using var server = await Assistants.TenantServer.StartAsync();
        var asked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var answer = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        server.Tool = async http =>
        {
            asked.TrySetResult();
            await answer.Task;
            await http.Response.WriteAsync("done");
        };
        var tool = (await _tenant.PostAsync("/v1/tools", new { name = "slow", type = "webhook", webhook = new { url = $"{server.Url}/tool" } })).Get<string>("id");
        var assistant = (await _tenant.PostAsync("/v1/assistants", new
        {
            name = "A", tools = new[] { tool }, llm = new { model = "local/script", options = new { rules = new[] { new { when = ".", say = "It is {{result}}.", tool = "slow" } } } },
        })).Get<string>("id");
        var session = await _tenant.StartTextSessionAsync(assistant);

        using var gone = new CancellationTokenSource();
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/v1/sessions/{session}/messages") { Content = new StringContent("""{"text":"Go"}""", System.Text.Encoding.UTF8, "application/json") };
        request.Headers.Add("x-api-key", _tenant.Key);
        request.Headers.Add("Idempotency-Key", "gone");
        var first = _host.Http.SendAsync(request, gone.Token);
        await asked.Task;
        await gone.CancelAsync();
        Assert.That(async () => await first, Throws.InstanceOf<OperationCanceledException>());
        Assert.That((await _tenant.PostAsync($"/v1/sessions/{session}/messages", """{"text":"Go"}""", ("Idempotency-Key", "gone"))).Code, Is.EqualTo("idempotency_in_progress"));

        answer.SetResult();
        Answer second;
        do
        {
            second = await _tenant.PostAsync($"/v1/sessions/{session}/messages", """{"text":"Go"}""", ("Idempotency-Key", "gone"));
        }
        while (second.Status == HttpStatusCode.Conflict);

        Assert.That((second.Get<string>("text"), second.Headers["Idempotency-Replayed"]), Is.EqualTo(("It is done.", "true")));
        Assert.That(server.Asked, Has.Count.EqualTo(1));
        Assert.That((await _tenant.GetAsync($"/v1/sessions/{session}/transcript")).Body!["data"]!.AsArray(), Has.Count.EqualTo(2));
    }

    [Test]
    public async Task Things_are_deleted_once_however_many_ask_at_the_same_moment()
    {
        for (var round = 0; round < 5; round++)
        {
            foreach (var (path, body) in new (string, object)[]
            {
                ("/v1/keys", new { name = "k", scopes = new[] { "read" } }), ("/v1/assistants", new { name = "a" }), ("/v1/webhooks", new { url = "http://127.0.0.1:9/" }),
                ("/v1/tools", new { name = "t", type = "static", @static = new { result = "r" } }), ("/v1/users", new { name = "u", email = $"u{round}@example.com", role = "viewer" }),
            })
            {
                var made = await _tenant.PostAsync(path, body);
                var answers = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => _tenant.DeleteAsync($"{path}/{made.Get<string>("id")}")));
                Assert.That(answers.Select(a => a.Status), Is.All.AnyOf(HttpStatusCode.NoContent, HttpStatusCode.NotFound), path);
                Assert.That(answers.Select(a => a.Status), Has.Some.EqualTo(HttpStatusCode.NoContent), path);
            }

            var assistant = await _tenant.CreateAssistantAsync();
            var both = await Task.WhenAll(_tenant.DeleteAsync($"/v1/assistants/{assistant}"), _tenant.PatchAsync($"/v1/assistants/{assistant}", new { description = "late" }));
            Assert.That(both.Select(a => (int)a.Status), Is.All.LessThan(500));
            Assert.That((await _tenant.GetAsync($"/v1/assistants/{assistant}")).Status, Is.EqualTo(HttpStatusCode.NotFound));
        }
    }

    [Test]
    public async Task A_failure_is_not_kept_and_a_key_of_another_tenant_is_another_key()
    {
        var bad = await _tenant.PostAsync("/v1/assistants", new { name = "" }, ("Idempotency-Key", "k"));
        Assert.That(bad.Status, Is.EqualTo(HttpStatusCode.UnprocessableEntity));
        var mine = await _tenant.PostAsync("/v1/assistants", new { name = "mine" }, ("Idempotency-Key", "k"));
        var theirs = await (await _host.SignUpAsync("Other")).PostAsync("/v1/assistants", new { name = "mine" }, ("Idempotency-Key", "k"));
        Assert.That((mine.Status, theirs.Status), Is.EqualTo((HttpStatusCode.Created, HttpStatusCode.Created)));
        Assert.That(theirs.Get<string>("id"), Is.Not.EqualTo(mine.Get<string>("id")));
    }

    [Test]
    public async Task The_platform_has_keys_of_its_own_and_an_unprintable_key_is_refused()
    {
        var topUp = new { tenant_id = _tenant.TenantId, amount = 5_000_000, external_reference = "invoice-1" };
        var first = await _host.SendAsync(HttpMethod.Post, "/v1/billing/topups", TestHost.AdminKey, topUp, ("Idempotency-Key", _tenant.TenantId));
        var again = await _host.SendAsync(HttpMethod.Post, "/v1/billing/topups", TestHost.AdminKey, topUp, ("Idempotency-Key", _tenant.TenantId));
        Assert.That(again.Body!.ToJsonString(), Is.EqualTo(first.Body!.ToJsonString()));
        Assert.That(again.Headers["Idempotency-Replayed"], Is.EqualTo("true"));

        var refused = await _tenant.PostAsync("/v1/assistants", new { name = "n" }, ("Idempotency-Key", new string('k', 256)));
        Assert.That((refused.Status, refused.Code), Is.EqualTo((HttpStatusCode.BadRequest, "idempotency_key_malformed")));
    }

    private async Task<long> CountAsync(string sql)
    {
        await using var source = NpgsqlDataSource.Create(_host.Database.Owner);
        await using var query = source.CreateCommand(sql);
        return (long)(await query.ExecuteScalarAsync())!;
    }
}
