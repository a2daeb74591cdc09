using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.Agent.Tools;
using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Tests.Support;

namespace VoicePlatform.Tests.Agent;

internal sealed class ToolBoxTests
{
    private static readonly IReadOnlyDictionary<string, string> None = new Dictionary<string, string>();

    private readonly List<string> _notes = [];

    [Test]
    public async Task A_tool_that_fails_as_nobody_foresaw_is_an_outcome_that_says_nothing_of_what_was_sent()
    {
        var outcome = await BoxOf(new Failing(new InvalidOperationException("Failed to add header x with value 'secret'"))).RunAsync(Call, CancellationToken.None);
        Assert.That((outcome.Failed, outcome.Text), Is.EqualTo((true, "look_up failed.")));
        Assert.That(_notes.Single(), Does.StartWith("tool.failed look_up in").And.Not.Contain("secret"));
    }

    [Test]
    public void A_call_that_is_cancelled_is_cancelled_whatever_the_tool_says()
    {
        using var over = new CancellationTokenSource();
        over.Cancel();
        Assert.CatchAsync<OperationCanceledException>(() => BoxOf(new Failing(new IOException("aborted"))).RunAsync(Call, over.Token));
        Assert.That(_notes, Is.Empty);
    }

    [Test]
    public async Task What_a_server_says_can_be_kept()
    {
        var outcome = await BoxOf(new Answering("a\0b\ud800c" + string.Concat(Enumerable.Repeat("\U0001F600", 10_000)))).RunAsync(Call, CancellationToken.None);
        Assert.That(outcome.Text, Does.StartWith("a b\uFFFDc").And.EndWith("\U0001F600…"));
        Assert.That(System.Text.Encoding.UTF8.GetByteCount(outcome.Text), Is.InRange(16_380, 16_390));
        Assert.That(_notes.Single(), Has.Length.LessThan(500).And.EndWith("\U0001F600…"));
    }

    [Test]
    public void Variables_are_no_templates_and_secrets_are_only_those_given()
    {
        var variables = new Dictionary<string, string> { ["order"] = "{{secrets.A}}", ["secrets.A"] = "from a caller" };
        var secrets = new Dictionary<string, string> { ["A"] = "one {{order}}" };
        Assert.That(Placeholder.FillHeader("{{order}} {{secrets.A}} {{unknown}}", variables, secrets), Is.EqualTo("{{secrets.A}} one {{order}} {{unknown}}"));
        Assert.That(() => Placeholder.FillHeader("{{secrets.B}}", variables, secrets), Throws.InstanceOf<ToolException>().With.Message.Contains("the secret B"));
    }

    [TestCase("x-ref", "a\r\nb")]
    [TestCase("x-ref", "a\tb")]
    [TestCase("x-ref", "\u0085")]
    [TestCase("content-language", "deutsch")]
    public void A_header_that_cannot_be_sent_is_named_and_its_value_is_not(string name, string value)
    {
        var e = Assert.Throws<ToolException>(() => ToolHeaders.Fill(new Dictionary<string, string> { [name] = "{{v}}" }, new Dictionary<string, string> { ["v"] = value }, None))!;
        Assert.That(e.Message, Does.Contain(name).And.Not.Contain(value));
    }

    [Test]
    public async Task Closing_is_nobodys_wait_and_the_host_sees_to_its_end()
    {
        var time = new ManualTime();
        var server = new Silent();
        await using var boxes = new ToolBoxes(server, time, NullLogger<ToolBoxes>.Instance);
        var tool = new ToolDocument { Name = "stock", Type = ToolType.Mcp, Mcp = new McpTool("http://127.0.0.1/mcp") };
        var box = boxes.Make([tool], boxes.Context("ten1", "ses1", "ast1", null, None, (_, _) => throw new InvalidOperationException("No webhook is here.")), None, null, (_, _) => { });
        var opening = box.OpenAsync(CancellationToken.None);
        await server.Asked.Task;

        box.Dispose();
        Assert.That(opening.IsCompleted, Is.False, "The server has not answered, and nobody waited for it.");
        var stopping = boxes.DisposeAsync().AsTask();
        Assert.That(stopping.IsCompleted, Is.False);
        time.Advance(TimeSpan.FromSeconds(3));
        await opening;

        // The timer of the closing is made at some moment from now on.
        while (!stopping.IsCompleted)
        {
            time.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }

        await stopping;
    }

    private static ToolCall Call => new("c1", "look_up", "{}");

    private ToolBox BoxOf(ITool tool)
    {
        var silent = new Silent();
        return new ToolBox([tool], [], (kind, detail) => _notes.Add($"{kind} {detail}"), new ToolBoxes(silent, TimeProvider.System, NullLogger<ToolBoxes>.Instance));
    }

    private sealed class Failing(Exception e) : ITool
    {
        public ToolDefinition Definition { get; } = new("look_up", "", "{}");

        public string Say => "";

        public Task<ToolOutcome> RunAsync(string argumentsJson, CancellationToken ct) => Task.FromException<ToolOutcome>(e);
    }

    private sealed class Answering(string text) : ITool
    {
        public ToolDefinition Definition { get; } = new("look_up", "", "{}");

        public string Say => "";

        public Task<ToolOutcome> RunAsync(string argumentsJson, CancellationToken ct) => Task.FromResult(new ToolOutcome(text));
    }

    /// <summary>A server that takes every request and answers none, and does not mind being cancelled.</summary>
    private sealed class Silent : HttpMessageHandler, IHttpClientFactory, IHttpMessageHandlerFactory
    {
        public TaskCompletionSource Asked { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public HttpClient CreateClient(string name) => new(this, disposeHandler: false);

        public HttpMessageHandler CreateHandler(string name) => this;

        protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
        {
            Asked.TrySetResult();
            return new TaskCompletionSource<HttpResponseMessage>().Task;
        }
    }
}
