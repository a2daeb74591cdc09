using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using VoicePlatform.Agent;
using VoicePlatform.Agent.Language;
using VoicePlatform.Agent.Providers;
using VoicePlatform.Agent.Providers.Flite;
using VoicePlatform.Agent.Providers.OpenAi;
using VoicePlatform.Agent.Providers.PocketSphinx;
using VoicePlatform.Agent.Speech;
using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Sessions;

namespace VoicePlatform.Tests.Agent;

/// <summary>Against a server on loopback that speaks OpenAI's streaming protocol as the test says.</summary>
internal sealed class OpenAiModelTests
{
    private readonly List<(string Path, string? Authorization, JsonElement Body)> _requests = [];
    private WebApplication _server = null!;
    private Func<HttpContext, Task> _answer = _ => Task.CompletedTask;

    private Uri Url => new(_server.Urls.First());

    [SetUp]
    public async Task StartServer()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0));
        _server = builder.Build();
        _server.Run(async context =>
        {
            _requests.Add((context.Request.Path, context.Request.Headers.Authorization, (await JsonDocument.ParseAsync(context.Request.Body)).RootElement));
            context.Response.ContentType = "text/event-stream";
            await _answer(context);
        });
        await _server.StartAsync();
    }

    [TearDown]
    public async Task StopServer()
    {
        using var now = new CancellationTokenSource();
        await now.CancelAsync();
        await _server.StopAsync(now.Token);
        await _server.DisposeAsync();
    }

    [Test]
    public async Task An_answer_comes_piece_by_piece_with_what_it_used()
    {
        _answer = c => SendAsync(c, Text("Hel"), Text("lo."), Finish, Usage, "[DONE]");

        var pieces = await AskAsync();

        Assert.That(pieces.OfType<Generated.Text>().Select(t => t.Piece), Is.EqualTo(["Hel", "lo."]));
        Assert.That(pieces.OfType<Generated.Used>().Select(u => (u.Total.Component, u.Total.Quantity)), Is.EqualTo([("llm_input", 70L), ("llm_cached_input", 30L), ("llm_output", 5L)]));
        var (path, authorization, body) = _requests.Single();
        Assert.That((path, authorization), Is.EqualTo(("/v1/chat/completions", "Bearer key")));
        Assert.That(body.GetProperty("messages").EnumerateArray().Select(m => m.GetProperty("role").GetString()), Is.EqualTo(["system", "user", "assistant", "user"]));
        Assert.That(body.GetProperty("stream").GetBoolean());
    }

    [Test]
    public async Task What_the_server_reports_counts_beside_what_we_measured()
    {
        _answer = c => SendAsync(c, Text("Hello there."), Finish, Usage, "[DONE]");
        var used = (await AskAsync()).OfType<Generated.Used>().Select(u => u.Total).ToDictionary(u => u.Component);

        Assert.That((used["llm_input"].Quantity, used["llm_input"].Reported, used["llm_input"].Measured), Is.EqualTo((70L, (long?)70, (QuestionLength + 3) / 4)));
        Assert.That((used["llm_output"].Quantity, used["llm_output"].Reported, used["llm_output"].Measured), Is.EqualTo((5L, (long?)5, 3L)));
    }

    [Test]
    public async Task Where_the_server_reports_nothing_what_we_measured_counts()
    {
        _answer = c => SendAsync(c, Text("Hello there."), Finish, "[DONE]");
        var used = (await AskAsync()).OfType<Generated.Used>().Select(u => (u.Total.Component, u.Total.Quantity, u.Total.Reported));
        Assert.That(used, Is.EqualTo(new[] { ("llm_input", (QuestionLength + 3) / 4, (long?)null), ("llm_output", 3L, null) }));
    }

    [Test]
    public async Task What_an_answer_used_until_it_was_cut_off_is_told_and_a_question_nobody_answered_is_free()
    {
        _answer = async c =>
        {
            await SendAsync(c, Text("Hello there."));
            await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, c.RequestAborted);
        };
        var told = new List<UsageTotal>();
        var model = new OpenAiModel("openai", "gpt", new Uri(Url, "/v1"), "key", TimeSpan.FromSeconds(10));
        await foreach (var piece in model.AnswerAsync(Question() with { Cut = told.Add }, default))
        {
            Assert.That(piece, Is.TypeOf<Generated.Text>());
            break;
        }

        Assert.That(told.Select(u => (u.Component, u.Quantity, u.Reported)), Is.EqualTo(new[] { ("llm_input", (QuestionLength + 3) / 4, (long?)null), ("llm_output", 3L, null) }));

        told.Clear();
        _answer = c => Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, c.RequestAborted);
        using var impatient = new CancellationTokenSource(TimeSpan.FromMilliseconds(200), TimeProvider.System);
        Assert.That(async () => await model.AnswerAsync(Question() with { Cut = told.Add }, impatient.Token).ToListAsync(), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(told, Is.Empty);
    }

    [TestCase(401, false)]
    [TestCase(404, false)]
    [TestCase(408, true)]
    [TestCase(429, true)]
    [TestCase(500, true)]
    [TestCase(503, true)]
    public void A_refusal_says_whether_it_is_worth_trying_again(int status, bool retryable)
    {
        _answer = c =>
        {
            c.Response.StatusCode = status;
            return c.Response.WriteAsync("""{"error":{"message":"secret detail"}}""");
        };

        var e = Assert.ThrowsAsync<ProviderException>(() => AskAsync())!;
        Assert.That((e.Message, e.Retryable), Is.EqualTo(($"openai/gpt answered {status}.", retryable)));
        Assert.That(_requests, Has.Count.EqualTo(1), "Whoever asked decides whether to ask again.");
    }

    [Test]
    public void A_stream_that_is_cut_off_is_a_failure()
    {
        _answer = async c =>
        {
            await SendAsync(c, Text("Hel"));
            c.Abort();
        };

        Assert.That(Assert.ThrowsAsync<ProviderException>(() => AskAsync())!.Retryable);
    }

    [Test]
    public void A_stream_that_ends_without_its_end_is_a_failure()
    {
        _answer = c => SendAsync(c, Text("Hel"));

        Assert.That(Assert.ThrowsAsync<ProviderException>(() => AskAsync())!.Message, Does.Contain("stopped in the middle"));
    }

    [Test]
    public void An_answer_without_a_word_is_a_failure()
    {
        _answer = c => SendAsync(c, Finish, "[DONE]");

        Assert.That(Assert.ThrowsAsync<ProviderException>(() => AskAsync())!.Message, Does.Contain("answered nothing"));
    }

    [Test]
    public void What_is_no_answer_is_a_failure()
    {
        _answer = c => SendAsync(c, "{not json");

        Assert.ThrowsAsync<ProviderException>(() => AskAsync());
    }

    [Test]
    public void A_server_that_hangs_is_a_failure_in_time()
    {
        _answer = c => Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System, c.RequestAborted);

        Assert.That(Assert.ThrowsAsync<ProviderException>(() => AskAsync(TimeSpan.FromMilliseconds(300)))!.Retryable);
    }

    [Test]
    public async Task A_server_that_is_not_there_is_a_failure()
    {
        var url = Url;
        await _server.StopAsync();
        var model = new OpenAiModel("openai", "gpt", new Uri(url, "/v1"), "key", TimeSpan.FromSeconds(5));

        Assert.That(Assert.ThrowsAsync<ProviderException>(async () => await model.AnswerAsync(Question(), default).ToListAsync())!.Retryable);
    }

    [TestCase("", "ollama/llama3.2", "llama3.2")]
    [TestCase("/", "ollama/llama3.2", "llama3.2")]
    [TestCase("/v1", "ollama/qwen:0.5b", "qwen:0.5b")]
    public async Task Ollama_is_reached_however_its_address_is_given(string path, string descriptor, string model)
    {
        _answer = c => SendAsync(c, Text("Hello."), Finish, "[DONE]");
        var options = new AgentOptions();
        options.Read(new ConfigurationBuilder().AddInMemoryCollection(new Dictionary<string, string?> { ["OLLAMA_BASE_URL"] = Url.ToString().TrimEnd('/') + path }).Build(), isDevelopment: true);
        using var flite = new FliteSpeech();
        using var sphinx = new PocketSphinxSpeech(1, TimeProvider.System);
        var catalog = new ProviderCatalog(Options.Create(options), sphinx, flite, TimeProvider.System);
        var assistant = new AssistantDocument { Name = "Test", Llm = new LanguageModelChoice { Model = descriptor } };

        var answer = await catalog.Mind(assistant, TenantKeys.None, _ => { }).Value.AnswerAsync(Question() with { Assistant = assistant }, default).ToListAsync();

        Assert.That(((Generated.Text)answer[0]).Piece, Is.EqualTo("Hello."));
        Assert.That((_requests[0].Path, _requests[0].Body.GetProperty("model").GetString()), Is.EqualTo(("/v1/chat/completions", model)));
    }

    private const string Finish = """{"id":"1","object":"chat.completion.chunk","created":1,"model":"gpt","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}""";
    private const string Usage = """{"id":"1","object":"chat.completion.chunk","created":1,"model":"gpt","choices":[],"usage":{"prompt_tokens":100,"completion_tokens":5,"total_tokens":105,"prompt_tokens_details":{"cached_tokens":30}}}""";

    private static string Text(string text) =>
        $$$"""{"id":"1","object":"chat.completion.chunk","created":1,"model":"gpt","choices":[{"index":0,"delta":{"role":"assistant","content":"{{{text}}}"},"finish_reason":null}]}""";

    private static async Task SendAsync(HttpContext context, params string[] events)
    {
        foreach (var data in events)
        {
            await context.Response.WriteAsync($"data: {data}\n\n");
            await context.Response.Body.FlushAsync();
        }
    }

    // Characters of all that is asked: a token is four of them, more or less.
    private const long QuestionLength = 8 + 2 + 5 + 12;

    private static Prompt Question() => new(
        new AssistantDocument { Name = "Test", Prompt = "Be kind." }, new Dictionary<string, string>(), [new Said(Speaker.User, "hi"), new Said(Speaker.Agent, "hello")], "how are you?");

    private async Task<List<Generated>> AskAsync(TimeSpan? timeout = null) =>
        await new OpenAiModel("openai", "gpt", new Uri(Url, "/v1"), "key", timeout ?? TimeSpan.FromSeconds(10)).AnswerAsync(Question(), default).ToListAsync();
}
