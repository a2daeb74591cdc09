using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Contract;

/// <summary>The documents say what the host does: every example is sent, every answer judged by its schema.</summary>
internal sealed partial class DocumentTests
{
    /// <summary>Needs somebody on the telephone, a finished recording, or a conversation that is over; the refusal that the example gets without.</summary>
    private static readonly Dictionary<string, HttpStatusCode> TooEarly = new()
    {
        ["sayOnCall"] = HttpStatusCode.Conflict, ["sendDtmf"] = HttpStatusCode.Conflict, ["transferCall"] = HttpStatusCode.Conflict, ["getCallRecording"] = HttpStatusCode.NotFound,
        ["analyzeCall"] = HttpStatusCode.Conflict, ["releaseHold"] = HttpStatusCode.Conflict, ["analyzeSession"] = HttpStatusCode.Conflict, ["getCallAnalysis"] = HttpStatusCode.NotFound, ["getAnalysis"] = HttpStatusCode.NotFound,
    };

    private TestHost _host = null!;

    [SetUp]
    public async Task SetUpAsync() => _host = await TestHost.SharedAsync(("RATE_LIMIT_PER_KEY", "off"));

    [TearDown]
    public async Task TearDownAsync() => await _host.DisposeAsync();

    [TestCase("v1")]
    [TestCase("compat")]
    public async Task Every_operation_has_a_name_a_summary_and_schemas(string name)
    {
        var document = await ApiDocument.OfAsync(_host, name);
        Assert.That(document.Operations, Is.Not.Empty);
        Assert.Multiple(() =>
        {
            foreach (var operation in document.Operations)
            {
                Assert.That(operation.Json["operationId"]?.GetValue<string>(), Does.Match("^[a-z][A-Za-z0-9]+$"), operation.ToString());
                Assert.That(operation.Json["summary"]?.GetValue<string>(), Has.Length.GreaterThan(5), operation.ToString());
                Assert.That(operation.Json["description"]?.GetValue<string>(), Does.Contain(' '), operation.ToString());
                Assert.That(operation.Json["tags"]!.AsArray(), Has.Count.EqualTo(1), operation.ToString());
                Assert.That(operation.Documents(503), Is.True, operation.ToString());
                if (!operation.IsSeed && operation.Success.Key is not ("204" or "202"))
                {
                    Assert.That(operation.AnswerSchema ?? operation.Success.Value!["content"], Is.Not.Null, $"{operation} has no schema for its answer: .Produces<T>()");
                }

                foreach (var parameter in operation.Parameters)
                {
                    Assert.That(parameter["description"]?.GetValue<string>(), Is.Not.Null.And.Not.Empty, $"{operation}: parameter {parameter["name"]}");
                }
            }

            Assert.That(document.Operations.Select(o => o.Id), Is.Unique);
            foreach (var reference in References().Matches(document.Json.ToJsonString()).Select(m => m.Groups["ref"].Value).Distinct())
            {
                Assert.That(() => document.Judge.Resolve(new JsonObject { ["$ref"] = reference }), Throws.Nothing, reference);
            }
        });
    }

    [TestCase("v1")]
    [TestCase("compat")]
    public async Task Every_example_is_true(string name)
    {
        var document = await ApiDocument.OfAsync(_host, name);
        var reader = await Resources.MakeAsync(await _host.SignUpAsync("Analytical Engines"));
        foreach (var operation in document.Operations.OrderBy(Destruction))
        {
            if (operation.BodySchema is { } bodySchema)
            {
                Assert.That(operation.Example, Is.Not.Null, $"{operation} has no example: write src/Host/OpenApi/Examples/{operation.Id}.json");
                Assert.That(document.Judge.Faults(operation.Example, bodySchema), Is.Empty, $"The example request of {operation}");
            }

            var answer = await TryAsync(operation, operation.Method == "GET" ? reader : await Resources.MakeAsync(await _host.SignUpAsync("Analytical Engines")));
            if (TooEarly.TryGetValue(operation.Id, out var refusal))
            {
                Assert.That(answer.Status, Is.EqualTo(refusal), operation.ToString());
                Assert.That(operation.Documents((int)refusal), Is.True);
            }
            else
            {
                Assert.That(operation.Documents((int)answer.Status) && (int)answer.Status < 300, Is.True, $"{operation} {answer.Status}: {answer.Body?.ToJsonString()}");
            }

            if (operation.AnswerSchema is { } answerSchema)
            {
                Assert.That(operation.ExampleAnswer, Is.Not.Null, $"{operation} has no example of its answer.");
                Assert.That(document.Judge.Faults(operation.ExampleAnswer, answerSchema), Is.Empty, $"The example answer of {operation}");
                if (answer.Status < HttpStatusCode.BadRequest)
                {
                    Assert.That(document.Judge.Faults(answer.Body, answerSchema), Is.Empty, $"The answer of {operation}");
                }
            }
        }
    }

    [Test, Explicit("It writes into the sources: run it after a change of what an answer holds, and read the difference.")]
    public async Task Write_the_example_answers_anew([Values("v1", "compat")] string name)
    {
        var document = await ApiDocument.OfAsync(_host, name);
        foreach (var operation in document.Operations.OrderBy(Destruction))
        {
            var resources = await Resources.MakeAsync(await _host.SignUpAsync("Analytical Engines"));
            var file = Path.Combine(Sources.Folder, "src", "Host", "OpenApi", "Examples", $"{operation.Id}.json");
            var example = File.Exists(file) ? JsonNode.Parse(await File.ReadAllTextAsync(file))!.AsObject() : [];
            var answer = await TryAsync(operation, resources);
            if (answer.Status < HttpStatusCode.BadRequest && answer.Body is { } body)
            {
                example["answer"] = ExampleAnswers.Of(body, resources);
                await File.WriteAllTextAsync(file, example.ToJsonString(new JsonSerializerOptions { WriteIndented = true, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }) + "\n");
            }
        }
    }

    private static async Task<Answer> TryAsync(Operation operation, Resources resources)
    {
        var body = resources.Real(operation.Example);
        if (operation.Id == "createNumber")
        {
            body!["number"] = $"+1415{Random.Shared.Next(1_000_000, 9_999_999)}";     // The number of the example belongs to the first who routes it.
        }

        if (operation.Id == "createUser")
        {
            body!["email"] = $"grace{Random.Shared.Next()}@example.com";
        }

        return await resources.SendAsync(operation, body);
    }

    private static int Destruction(Operation operation) => operation.Method == "DELETE" ? 2 : operation.Path.EndsWith("/end", StringComparison.Ordinal) ? 1 : 0;

    [GeneratedRegex("\"\\$ref\":\"(?<ref>[^\"]+)\"", RegexOptions.ExplicitCapture)]
    private static partial Regex References();
}
