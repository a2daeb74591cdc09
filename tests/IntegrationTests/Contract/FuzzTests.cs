using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.Extensions.DependencyInjection;
using VoicePlatform.Host.OpenApi;
using VoicePlatform.IntegrationTests.Support;
using VoicePlatform.LiveKit;

namespace VoicePlatform.IntegrationTests.Contract;

/// <summary>
/// Every operation of both documents, given what hostile and careless senders write. Whatever comes: an answer that the document knows, soon,
/// a problem document when it is a refusal, nothing half done, and no secret in the log.
/// </summary>
internal sealed class FuzzTests
{
    private const int Workers = 6;
    private const int Pairs = 25;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    /// <summary>What Kestrel or the router refuses for any route, before anybody looks at the operation.</summary>
    private static readonly int[] BeforeTheRoute = [400, 404, 405, 408, 413, 414, 415, 431];

    private readonly ConcurrentBag<string> _faults = [];
    private readonly ConcurrentDictionary<int, int> _statuses = new();
    private TestHost _host = null!;
    private HttpClient _http = null!;
    private int _requests;

    [SetUp]
    public async Task SetUpAsync()
    {
        _host = await TestHost.StartAsync(("RATE_LIMIT_PER_KEY", "off"));
        _http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, RequestHeaderEncodingSelector = (_, _) => Encoding.Latin1, ConnectTimeout = Patience, Expect100ContinueTimeout = TimeSpan.FromSeconds(2) })
        {
            BaseAddress = _host.Http.BaseAddress, Timeout = Patience,
        };
    }

    [TearDown]
    public async Task TearDownAsync()
    {
        _http.Dispose();
        await _host.DisposeAsync();
    }

    [Test]
    public async Task Nothing_that_is_sent_breaks_anything()
    {
        var seed = int.TryParse(Environment.GetEnvironmentVariable("FUZZ_SEED"), out var given) ? given : 20261126;
        var clock = Stopwatch.StartNew();
        var tenant = await _host.SignUpAsync("Fuzzed");
        var resources = await Resources.MakeAsync(tenant);
        var before = await LedgerAsync(tenant);

        var work = new List<(ApiDocument Document, Operation Operation, Resources Resources)>();
        foreach (var name in new[] { "v1", "compat" })
        {
            var document = await ApiDocument.OfAsync(_host, name);
            foreach (var operation in document.Operations)
            {
                // What ends its resource has one of its own, so that the others find theirs.
                var isEnding = operation.Method == "DELETE" || operation.Path.EndsWith("/end", StringComparison.Ordinal);
                work.Add((document, operation, isEnding ? await Resources.MakeAsync(tenant) : resources));
            }
        }

        Assert.That(work, Has.Count.GreaterThan(50));
        await Parallel.ForEachAsync(work, new ParallelOptions { MaxDegreeOfParallelism = Workers }, async (w, _) =>
            await FuzzAsync(w.Document, w.Operation, w.Resources, new Random(seed ^ Stable(w.Operation.ToString()))));

        TestContext.Out.WriteLine($"FUZZ_SEED={seed}: {_requests} requests to {work.Count} operations in {clock.Elapsed.TotalSeconds:0.0} s; answers {string.Join(", ", _statuses.OrderBy(s => s.Key).Select(s => $"{s.Key}: {s.Value}"))}");
        Assert.That(_faults, Is.Empty, string.Join('\n', _faults.Take(60)));
        await NothingHalfDoneAsync(tenant, before);
        NoSecretLogged(resources);
    }

    private async Task FuzzAsync(ApiDocument document, Operation operation, Resources resources, Random random)
    {
        var valid = resources.Real(operation.Example);
        var path = resources.PathOf(operation);
        if (operation.BodySchema is not null)
        {
            foreach (var (label, body, type) in Hostile.Bodies(valid))
            {
                await SendAsync(document, operation, resources, label, path, body, type);
            }

            foreach (var (label, body) in Hostile.Mutations(valid!, random, Pairs))
            {
                await SendAsync(document, operation, resources, label, path, Encoding.UTF8.GetBytes(body), "application/json");
            }
        }

        await SendAsync(document, operation, resources, "10 MB", path, new byte[10 * 1024 * 1024], "application/json");
        var bytes = valid is null ? null : Encoding.UTF8.GetBytes(valid.ToJsonString());
        if (operation.Path.Contains('{', StringComparison.Ordinal))
        {
            foreach (var id in Hostile.Ids(resources.Ids[Resources.Assistant]))
            {
                await SendAsync(document, operation, resources, $"id {Short(id)}", resources.PathOf(operation, _ => id), bytes, "application/json");
            }
        }

        foreach (var name in operation.Parameters.Where(p => p["in"]!.GetValue<string>() == "query").Select(p => p["name"]!.GetValue<string>()))
        {
            foreach (var value in Hostile.QueryValues())
            {
                await SendAsync(document, operation, resources, $"{name}={Short(value)}", $"{path}?{name}={value.Replace("{0}", name, StringComparison.Ordinal)}", bytes, "application/json");
            }
        }

        foreach (var (name, value) in Headers(random))
        {
            await SendAsync(document, operation, resources, $"{name}: {Short(value)}", path, bytes, "application/json", (name, value));
        }

        await RepeatAsync(document, operation, resources, path, bytes);
        await CancelAsync(operation, resources, path, bytes);
    }

    private static IEnumerable<(string Name, string Value)> Headers(Random random)
    {
        foreach (var key in new[] { new string('k', 256), "caf\u00e9", "a\tb", " ", $"fine-{random.NextInt64()}" })
        {
            yield return ("Idempotency-Key", key);
        }

        foreach (var tag in new[] { "*x", "\"", "W/\"1\"", "\"99\"", "\"1\",\"2\"", new string('"', 4_000), "null" })
        {
            yield return ("If-Match", tag);
        }

        foreach (var key in new[] { "x", "lvk_live_", new string('k', 5_000), "lvk_live_\u00e9" })
        {
            yield return ("x-api-key", key);
        }

        yield return ("Accept", "text/html;q=2, */x");
        yield return ("Accept-Encoding", "klingon");
        yield return ("x-request-id", new string('r', 3_000));
        yield return ("x-forwarded-for", "::1, \"<script>\"");
        yield return ("Content-Encoding", "gzip");
        yield return ("X-HTTP-Method-Override", "DELETE");
    }

    /// <summary>The same request twice at the same moment, then the key with another body.</summary>
    private async Task RepeatAsync(ApiDocument document, Operation operation, Resources resources, string path, byte[]? body)
    {
        if (operation.Method != "POST" || operation.Scope is null)
        {
            return;
        }

        var key = ("Idempotency-Key", $"twice-{operation.Id}");
        var both = await Task.WhenAll(
            SendAsync(document, operation, resources, "twice at once", path, body, "application/json", key),
            SendAsync(document, operation, resources, "twice at once", path, body, "application/json", key));
        if (both.All(a => a.Status is >= 200 and < 300) && !string.Equals(both[0].Body, both[1].Body, StringComparison.Ordinal))
        {
            _faults.Add($"{operation}: the same request with the same key was answered in two ways: {Short(both[0].Body)} / {Short(both[1].Body)}");
        }

        if (both.Any(a => a.Status is >= 200 and < 300) && body is not null)
        {
            var other = await SendAsync(document, operation, resources, "the key with another body", path, [.. body, (byte)' '], "application/json", key);
            if (other.Status != (operation.IsSeed ? 400 : 422))
            {
                _faults.Add($"{operation}: the key of another request was answered with {other.Status}");
            }
        }
    }

    private async Task CancelAsync(Operation operation, Resources resources, string path, byte[]? body)
    {
        foreach (var after in new[] { 0.2, 2, 8 })
        {
            using var cancelled = new CancellationTokenSource(TimeSpan.FromMilliseconds(after), TimeProvider.System);
            using var request = Request(operation, resources, path, body, "application/json", []);
            try
            {
                using var answer = await _http.SendAsync(request, cancelled.Token);
            }
            catch (OperationCanceledException)
            {
                // That is what was asked for.
            }
        }
    }

    private async Task<(int Status, string Body)> SendAsync(
        ApiDocument document, Operation operation, Resources resources, string label, string path, byte[]? body, string type, params (string Name, string Value)[] headers)
    {
        Interlocked.Increment(ref _requests);
        var clock = Stopwatch.StartNew();
        using var request = Request(operation, resources, path, body, type, headers);
        try
        {
            using var answer = await _http.SendAsync(request);
            var text = await answer.Content.ReadAsStringAsync();
            var status = (int)answer.StatusCode;
            _statuses.AddOrUpdate(status, 1, (_, n) => n + 1);
            if (Fault(document, operation, answer, status, text) is { } fault)
            {
                _faults.Add($"{operation} [{label}]: {fault}");
            }

            if (clock.Elapsed > Patience / 2)
            {
                _faults.Add($"{operation} [{label}]: took {clock.Elapsed.TotalSeconds:0.0} s");
            }

            return (status, text);
        }
        catch (HttpRequestException e) when (body is { Length: > 1_000_000 } && e.HttpRequestError is HttpRequestError.Unknown or HttpRequestError.ResponseEnded or HttpRequestError.InvalidResponse)
        {
            // Refused while it was still being sent: the connection is closed on the rest.
            return (413, "");
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException)
        {
            _faults.Add($"{operation} [{label}]: no answer ({e.Message})");
            return (0, "");
        }
    }

    private static HttpRequestMessage Request(Operation operation, Resources resources, string path, byte[]? body, string type, (string Name, string Value)[] headers)
    {
        var request = new HttpRequestMessage(new HttpMethod(operation.Method), path);
        if (operation.Scope is not null && headers.All(h => h.Name != "x-api-key"))
        {
            request.Headers.Add("x-api-key", resources.KeyFor(operation));
        }

        if (body is not null)
        {
            request.Content = new ByteArrayContent(body);
            request.Content.Headers.TryAddWithoutValidation("content-type", type);
            request.Headers.ExpectContinue = body.Length > 1_000_000;
        }

        foreach (var (name, value) in headers)
        {
            if (name.StartsWith("Content-", StringComparison.OrdinalIgnoreCase))
            {
                request.Content?.Headers.TryAddWithoutValidation(name, value);
            }
            else
            {
                request.Headers.TryAddWithoutValidation(name, value);
            }
        }

        return request;
    }

    private static string? Fault(ApiDocument document, Operation operation, HttpResponseMessage answer, int status, string text)
    {
        if (!operation.Documents(status) && !BeforeTheRoute.Contains(status) && !(status == 401 && operation.Scope is not null))
        {
            return $"answers {status}, which the document does not know: {Short(text)}";
        }

        // Kestrel's own refusals of what is no HTTP have no body and no more to say.
        if (status is 400 or 414 or 431 && text.Length == 0)
        {
            return null;
        }

        if (!answer.Headers.Contains("x-request-id"))
        {
            return $"{status} without a request id";
        }

        if (status < 400)
        {
            return operation.AnswerSchema is { } schema && document.Judge.Faults(JsonNode.Parse(text), schema) is [var fault, ..] ? $"{status} and not as the schema has it: {fault}" : null;
        }

        JsonNode? json;
        try
        {
            json = JsonNode.Parse(text);
        }
        catch (JsonException)
        {
            return $"{status} with a body that is no JSON: {Short(text)}";
        }

        if (operation.IsSeed && answer.Content.Headers.ContentType?.MediaType == "application/json")
        {
            return json?["message"] is not null || json?["error"] is not null ? null : $"{status} without a message: {Short(text)}";
        }

        return answer.Content.Headers.ContentType?.MediaType != "application/problem+json" ? $"{status} is no problem document: {Short(text)}"
            : document.Judge.Faults(json, Reference) is [var wrong, ..] ? $"{status}: {wrong}"
            : ErrorCatalogue.Errors.All(e => e.Code != json!["code"]!.GetValue<string>()) && json!["code"]!.GetValue<string>() != "request.refused" ? $"the code {json["code"]} is not in docs/errors.md"
            : null;
    }

    private static readonly JsonObject Reference = new() { ["$ref"] = "#/components/schemas/Problem" };

    /// <summary>What was accepted is ended; then the ledger adds up, nothing is held, and the balance moved by its transactions and nothing else.</summary>
    private static async Task NothingHalfDoneAsync(TestTenant tenant, (long Posted, int Transactions) before)
    {
        foreach (var list in new[] { "calls", "sessions" })
        {
            foreach (var id in await AllAsync(tenant, $"/v1/{list}", row => row["ended_at"] is null))
            {
                await tenant.PostAsync($"/v1/{list}/{id}/end");
            }
        }

        await Assert.ThatAsync(async () => (await tenant.BalanceAsync()).Held, Is.Zero.After(20_000, 100));
        var verified = await tenant.GetAsync("/v1/billing/verify");
        Assert.That(verified.Get<bool>("ok"), Is.True, verified.Body!.ToJsonString());
        var moved = 0L;
        foreach (var row in await RowsAsync(tenant, "/v1/billing/transactions"))
        {
            Assert.That(row["entries"]!.AsArray().Sum(e => e!["amount"]!.GetValue<long>()), Is.Zero);
            moved += row["entries"]!.AsArray().Where(e => e!["account"]!.GetValue<string>() is "available" or "held").Sum(e => e!["amount"]!.GetValue<long>());
        }

        var (posted, _) = await LedgerAsync(tenant);
        Assert.That(posted, Is.EqualTo(moved), $"The balance was {before.Posted} before.");
    }

    private void NoSecretLogged(Resources resources)
    {
        var secrets = resources.Secrets.Append(TestHost.AdminKey).Append("horse battery staple").Append(_host.Services.GetRequiredService<LiveKitServer>().Key.Secret).ToList();
        Assert.That(_host.Log.Lines, Is.Not.Empty);
        foreach (var line in _host.Log.Lines)
        {
            Assert.That(secrets.Where(s => line.Contains(s, StringComparison.Ordinal)), Is.Empty, line);
            Assert.That(line, Does.Not.StartWith("Error VoicePlatform.Host.Failures"), line);
        }
    }

    private static async Task<(long Posted, int Transactions)> LedgerAsync(TestTenant tenant) =>
        ((await tenant.GetAsync("/v1/billing/balance")).Get<long>("posted"), (await RowsAsync(tenant, "/v1/billing/transactions")).Count);

    private static async Task<List<string>> AllAsync(TestTenant tenant, string path, Func<JsonNode, bool> which) =>
        (await RowsAsync(tenant, path)).Where(which).Select(r => r["id"]!.GetValue<string>()).ToList();

    private static async Task<List<JsonNode>> RowsAsync(TestTenant tenant, string path)
    {
        var rows = new List<JsonNode>();
        for (string? after = null; ;)
        {
            var page = await tenant.GetAsync($"{path}?limit=100{(after is null ? "" : $"&starting_after={after}")}");
            rows.AddRange(page.Body!["data"]!.AsArray().Select(r => r!));
            after = page.Body["next_cursor"]?.GetValue<string>();
            if (after is null)
            {
                return rows;
            }
        }
    }

    private static string Short(string text) => text.Length > 160 ? $"{text[..160]}… ({text.Length})" : text;

    /// <summary>The same in every run, unlike string.GetHashCode.</summary>
    private static int Stable(string text) => text.Aggregate(17, (hash, c) => unchecked((hash * 31) + c));
}
