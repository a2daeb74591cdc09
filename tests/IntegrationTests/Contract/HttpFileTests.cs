using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Contract;

/// <summary>Every request of http/*.http, in order, against a host as ./run starts it.</summary>
internal sealed partial class HttpFileTests
{
    private static readonly string Folder = Path.Combine(Sources.Folder, "http");

    private static IEnumerable<string> Files => Directory.GetFiles(Folder, "*.http").Select(f => Path.GetFileName(f)!).Order(StringComparer.Ordinal);

    [TestCaseSource(nameof(Files))]
    public async Task Every_request_of_the_file_works(string file)
    {
        await using var host = await TestHost.SharedAsync();
        var variables = new Dictionary<string, string> { ["host"] = host.Http.BaseAddress!.ToString().TrimEnd('/'), ["admin_key"] = TestHost.AdminKey };
        var answers = new Dictionary<string, JsonNode?>();
        var sent = 0;
        foreach (var part in Parts().Split(await File.ReadAllTextAsync(Path.Combine(Folder, file))))
        {
            if (await SendAsync(host, part, variables, answers) is var (request, answer))
            {
                sent++;
                Assert.That((int)answer.Status, Is.LessThan(400), $"{file}: {request}: {answer.Body?.ToJsonString()}");
            }
        }

        Assert.That(sent, Is.GreaterThan(2));
    }

    [Test]
    public void Every_module_has_a_file() =>
        Assert.That(Files, Is.EquivalentTo(new[] { "tenant.http", "assistant.http", "trunk.http", "call.http", "session.http", "billing.http", "seeds.http" }));

    private static async Task<(string Request, Answer Answer)?> SendAsync(TestHost host, string part, Dictionary<string, string> variables, Dictionary<string, JsonNode?> answers)
    {
        var name = "";
        var lines = new Queue<string>(part.Split('\n'));
        while (lines.TryPeek(out var line) && (line.Trim().Length == 0 || line.StartsWith('#') || line.StartsWith('@')))
        {
            lines.Dequeue();
            if (line.StartsWith("# @name ", StringComparison.Ordinal))
            {
                name = line["# @name ".Length..].Trim();
            }
            else if (line.StartsWith('@') && line.Split('=', 2) is [var variable, var value])
            {
                variables.TryAdd(variable.Trim('@', ' '), Filled(value.Trim()));
            }
        }

        if (lines.Count == 0)
        {
            return null;
        }

        var request = Filled(lines.Dequeue().Trim()).Split(' ', 2);
        var headers = new List<(string, string)>();
        while (lines.TryDequeue(out var line) && line.Trim().Length > 0)
        {
            var (header, value) = line.Split(':', 2) is [var h, var v] ? (h.Trim(), v.Trim()) : throw new FormatException(line);
            if (!header.Equals("content-type", StringComparison.OrdinalIgnoreCase))
            {
                headers.Add((header, Filled(value)));
            }
        }

        var body = Filled(string.Join('\n', lines).Trim());
        var answer = await host.SendAsync(new HttpMethod(request[0]), request[1], null, body.Length == 0 ? null : body, [.. headers]);
        if (name.Length > 0)
        {
            answers[name] = answer.Body;
        }

        return (string.Join(' ', request), answer);

        string Filled(string text) => Placeholders().Replace(text, m => Value(m.Groups["what"].Value));

        string Value(string what) =>
            what == "$guid" ? Guid.CreateVersion7().ToString()
            : what == "$datetime iso8601 1 d" ? TimeProvider.System.GetUtcNow().AddDays(1).ToString("O", CultureInfo.InvariantCulture)
            : what.StartsWith("$randomInt ", StringComparison.Ordinal) && what.Split(' ') is [_, var from, var to] ? Random.Shared.Next(int.Parse(from, null), int.Parse(to, null)).ToString(null, null)
            : what.Split(".response.body.$.") is [var named, var path] ? path.Split('.', '[', ']').Where(step => step.Length > 0).Aggregate(answers[named], (node, step) => node is JsonArray list ? list[int.Parse(step, null)] : node![step])!.ToString()
            : variables[what];
    }

    [GeneratedRegex("^###.*$", RegexOptions.Multiline)]
    private static partial Regex Parts();

    [GeneratedRegex(@"\{\{(?<what>[^{}]+)\}\}", RegexOptions.ExplicitCapture)]
    private static partial Regex Placeholders();
}
