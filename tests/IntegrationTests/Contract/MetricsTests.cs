using System.Globalization;
using System.Text.RegularExpressions;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Contract;

/// <summary>GET /metrics as a scraper reads it: strictly by Prometheus' text format.</summary>
internal sealed partial class MetricsTests
{
    [Test]
    public async Task What_happens_is_counted_in_a_form_that_a_scraper_reads()
    {
        await using var host = await TestHost.StartAsync();
        var tenant = await host.SignUpAsync();
        var before = await ScrapeAsync(host);
        var session = await tenant.StartTextSessionAsync(await tenant.CreateAssistantAsync());
        await tenant.PostAsync($"/v1/sessions/{session}/messages", new { text = "hello" });
        await tenant.PostAsync($"/v1/sessions/{session}/end");
        await tenant.GetAsync("/v1/calls/cal01kaz7m4qe3v9x2w5r8t6y1hd1");
        var after = await ScrapeAsync(host);

        var ended = after.Single(s => s.Name == "voiceplatform_sessions_ended_total" && s.Labels is { Count: 2 } l && l["channel"] == "text" && l["reason"] == "requested");
        Assert.That(ended.Value - before.Where(s => s.Key == ended.Key).Sum(s => s.Value), Is.GreaterThanOrEqualTo(1));
        Assert.That(
            after.Where(s => s.Name == "http_server_request_duration_seconds_count" && s.Labels.GetValueOrDefault("http_route") == "/v1/calls/{id}" && s.Labels["http_response_status_code"] == "404").Sum(s => s.Value),
            Is.EqualTo(1));
        Assert.That(after.Select(s => s.Name), Is.SupersetOf(new[] { "voiceplatform_sessions_open", "voiceplatform_calls_queued", "voiceplatform_calls_up", "voiceplatform_webhook_pending" }));
        Assert.That(after.Select(s => s.Name), Has.Some.StartsWith("kestrel_").And.Some.StartsWith("dotnet_gc_").And.Some.StartsWith("dotnet_process_").And.Some.StartsWith("db_client_"));

        foreach (var sample in before.Where(s => s.Type is "counter" || (s.Type is "histogram" && !s.Name.EndsWith("_sum", StringComparison.Ordinal))))
        {
            Assert.That(after.Single(s => s.Key == sample.Key).Value, Is.GreaterThanOrEqualTo(sample.Value), sample.Key);
        }

        var labels = string.Join('\n', after.SelectMany(s => s.Labels.Values));
        Assert.That(labels, Does.Not.Contain(session).And.Not.Contain(tenant.TenantId).And.Not.Contain("Password").And.Not.Contain("Host="));
    }

    [Test]
    public async Task A_database_that_is_away_leaves_the_rest_of_the_metrics()
    {
        await using var host = await TestHost.StartAsync();
        await host.Database.DisposeAsync();
        var samples = await ScrapeAsync(host);
        Assert.That(samples.Select(s => s.Name), Has.Some.StartsWith("kestrel_").And.None.EqualTo("voiceplatform_calls_up"));
    }

    private static async Task<IReadOnlyList<Sample>> ScrapeAsync(TestHost host)
    {
        using var answer = await host.Http.GetAsync("/metrics");
        Assert.That(answer.Content.Headers.ContentType?.ToString(), Is.EqualTo("text/plain; version=0.0.4; charset=utf-8"));
        return Parse(await answer.Content.ReadAsStringAsync());
    }

    /// <summary>Every line has its place: help, type, then the samples of that family and of no other; histograms add up.</summary>
    private static List<Sample> Parse(string text)
    {
        Assert.That(text, Does.EndWith("\n"));
        var samples = new List<Sample>();
        var families = new Dictionary<string, string>();
        var (family, type) = ("", "");
        foreach (var line in text.TrimEnd('\n').Split('\n'))
        {
            if (Help().Match(line) is { Success: true } help)
            {
                family = help.Groups["name"].Value;
                continue;
            }

            if (TypeLine().Match(line) is { Success: true } typed)
            {
                type = typed.Groups["type"].Value;
                Assert.That(typed.Groups["name"].Value, Is.EqualTo(family));
                Assert.That(families.TryAdd(family, type), Is.True, $"{family} is there twice.");
                continue;
            }

            var sample = Line().Match(line);
            Assert.That(sample.Success, Is.True, $"Not a line of the format: {line}");
            var name = sample.Groups["name"].Value;
            Assert.That(type == "histogram" ? name[..name.LastIndexOf('_')] : name, Is.EqualTo(family), line);
            Assert.That(type != "counter" || name.EndsWith("_total", StringComparison.Ordinal), Is.True, line);
            var labels = LabelOf().Matches(sample.Groups["labels"].Value).ToDictionary(l => l.Groups["name"].Value, l => l.Groups["value"].Value);
            var value = sample.Groups["value"].Value switch { "+Inf" => double.PositiveInfinity, "-Inf" => double.NegativeInfinity, var number => double.Parse(number, CultureInfo.InvariantCulture) };
            samples.Add(new(name, type, labels, value));
        }

        Assert.That(samples.Select(s => s.Key), Is.Unique);
        foreach (var histogram in samples.Where(s => s.Name.EndsWith("_bucket", StringComparison.Ordinal)).GroupBy(s => s.Name + string.Join(',', s.Labels.Where(l => l.Key != "le").Select(l => l.Value))))
        {
            var buckets = histogram.ToList();
            Assert.That(buckets.Select(b => b.Value), Is.Ordered, buckets[0].Key);
            Assert.That(buckets[^1].Labels["le"], Is.EqualTo("+Inf"));
            var count = samples.Single(s => s.Name == buckets[0].Name.Replace("_bucket", "_count", StringComparison.Ordinal) && s.Labels.All(l => buckets[0].Labels.GetValueOrDefault(l.Key) == l.Value) && s.Labels.Count == buckets[0].Labels.Count - 1);
            Assert.That(buckets[^1].Value, Is.EqualTo(count.Value));
        }

        return samples;
    }

    private sealed record Sample(string Name, string Type, IReadOnlyDictionary<string, string> Labels, double Value)
    {
        public string Key => $"{Name}{{{string.Join(',', Labels.OrderBy(l => l.Key, StringComparer.Ordinal).Select(l => $"{l.Key}={l.Value}"))}}}";
    }

    [GeneratedRegex("^# HELP (?<name>[a-zA-Z_:][a-zA-Z0-9_:]*) .+$", RegexOptions.ExplicitCapture)]
    private static partial Regex Help();

    [GeneratedRegex("^# TYPE (?<name>[a-zA-Z_:][a-zA-Z0-9_:]*) (?<type>counter|gauge|histogram)$", RegexOptions.ExplicitCapture)]
    private static partial Regex TypeLine();

    [GeneratedRegex("""^(?<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?<labels>([a-zA-Z_][a-zA-Z0-9_]*="(\\.|[^"\\\n])*",?)+)\})? (?<value>[+-]Inf|NaN|[-+0-9.eE]+)$""", RegexOptions.ExplicitCapture)]
    private static partial Regex Line();

    [GeneratedRegex("""(?<name>[a-zA-Z_][a-zA-Z0-9_]*)="(?<value>(\\.|[^"\\])*)" """, RegexOptions.ExplicitCapture | RegexOptions.IgnorePatternWhitespace)]
    private static partial Regex LabelOf();
}
