using System.Net;
using System.Text.Json.Nodes;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Contract;

/// <summary>
/// One of everything a tenant can have, so that every route can be asked with ids that exist. The examples of the document speak of
/// resources by the ids below; <see cref="Real"/> puts a tenant's own in their place.
/// </summary>
internal sealed class Resources
{
    public const string Assistant = "ast01kaz7m4qe3v9x2w5r8t6y1ha1";
    public const string Outbound = "trk01kaz7m4qe3v9x2w5r8t6y1hb1";
    public const string Inbound = "trk01kaz7m4qe3v9x2w5r8t6y1hb2";
    public const string Number = "num01kaz7m4qe3v9x2w5r8t6y1hc1";
    public const string Call = "cal01kaz7m4qe3v9x2w5r8t6y1hd1";
    public const string Session = "ses01kaz7m4qe3v9x2w5r8t6y1he1";
    public const string Tenant = "ten01kaz7m4qe3v9x2w5r8t6y1hf1";
    public const string Key = "key01kaz7m4qe3v9x2w5r8t6y1hg1";
    public const string Webhook = "whk01kaz7m4qe3v9x2w5r8t6y1hh1";
    public const string Tool = "tol01kaz7m4qe3v9x2w5r8t6y1hk1";
    public const string User = "usr01kaz7m4qe3v9x2w5r8t6y1hm1";
    public const string Secret = "CRM_TOKEN";
    public const string Event = "evt01kaz7m4qe3v9x2w5r8t6y1hn1";
    public const string Transaction = "txn01kaz7m4qe3v9x2w5r8t6y1hp1";
    public const string Hold = "hld01kaz7m4qe3v9x2w5r8t6y1hq1";
    public const string Delivery = "dlv01kaz7m4qe3v9x2w5r8t6y1hj1";

    /// <summary>When the example's call is to be made: soon, whenever the tests run.</summary>
    private const string Soon = "2026-12-01T09:00:00.000Z";

    /// <summary>Which resource a path speaks of, by the segment before its parameter.</summary>
    private static readonly Dictionary<string, string> BySegment = new()
    {
        ["assistants"] = Assistant, ["trunks"] = Outbound, ["numbers"] = Number, ["calls"] = Call, ["sessions"] = Session, ["tenants"] = Tenant,
        ["keys"] = Key, ["webhooks"] = Webhook, ["deliveries"] = Delivery, ["events"] = Event, ["holds"] = Hold, ["tools"] = Tool, ["users"] = User, ["secrets"] = Secret, ["update"] = Assistant, ["agent-settings"] = "device-0001", ["versions"] = "1", ["statements"] = "2026-11",
    };

    private static int _count;

    private readonly Dictionary<string, string> _real = [];

    private Resources(TestTenant tenant) => Owner = tenant;

    public TestTenant Owner { get; }

    public IReadOnlyDictionary<string, string> Ids => _real.Where(r => r.Key != Soon).ToDictionary();

    /// <summary>What the log must never show.</summary>
    public List<string> Secrets { get; } = [];

    public static async Task<Resources> MakeAsync(TestTenant tenant)
    {
        var made = new Resources(tenant);
        made.Secrets.Add(tenant.Key);
        made._real[Tenant] = tenant.TenantId;
        made._real[Soon] = TimeProvider.System.GetUtcNow().AddDays(1).ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", null);
        var unique = Interlocked.Increment(ref _count);
        await made.AddAsync(Assistant, "createAssistant");
        await made.AddAsync(Tool, "createTool");
        await made.AddAsync(User, "createUser", user => user["email"] = $"grace{unique}@example.com");
        await made.AddSecretAsync($"{Secret}_{unique}");
        await made.AddAsync(Outbound, "createTrunk");
        await made.AddAsync(Inbound, "createTrunk", trunk =>
        {
            trunk["direction"] = "inbound";
            trunk["address"] = "";
            trunk["allowed_addresses"] = new JsonArray($"127.0.{unique / 250}.{1 + (unique % 250)}");     // Two of the same would take the same calls.
        });
        await made.AddAsync(Number, "createNumber", number => number["number"] = $"+1415555{1000 + unique}");
        await made.AddAsync(Key, "createKey");
        await made.AddAsync(Webhook, "createWebhook", webhook => webhook.Remove("event_types"));
        await made.AddAsync(Call, "placeCall");
        await made.AddAsync(Session, "startSession", session => session["text_only"] = true);
        await made.MustAsync($"/v1/sessions/{made._real[Session]}/messages", new JsonObject { ["text"] = "I need an appointment." });
        var topUp = await made.MustAsync("/v1/billing/topups", new JsonObject { ["tenant_id"] = tenant.TenantId, ["amount"] = 100_000_000, ["external_reference"] = $"resources-{unique}-{tenant.TenantId}" }, TestHost.AdminKey);
        made._real[Transaction] = topUp["transaction_id"]!.GetValue<string>();
        await made.FindAsync(Event, "/v1/events");
        await made.FindAsync(Hold, "/v1/billing/holds");
        await made.FindAsync(Delivery, $"/v1/webhooks/{made._real[Webhook]}/deliveries");
        return made;
    }

    /// <summary>The same JSON about this tenant's resources.</summary>
    public JsonNode? Real(JsonNode? example) =>
        example is null ? null : JsonNode.Parse(_real.Aggregate(example.ToJsonString(), (json, id) => json.Replace(id.Key, id.Value, StringComparison.Ordinal)));

    /// <summary>The operation's path with this tenant's ids in it.</summary>
    public string PathOf(Operation operation, Func<string, string>? id = null)
    {
        var segments = operation.Path.Split('/');
        for (var i = 1; i < segments.Length; i++)
        {
            if (segments[i].StartsWith('{'))
            {
                Assert.That(BySegment, Contains.Key(segments[i - 1]), $"Resources knows no sample for {operation}: make one there, so that the tests reach it.");
                var example = BySegment[segments[i - 1]];
                var real = _real.GetValueOrDefault(example, example);
                segments[i] = id is not null ? id(real) : real;
            }
        }

        return string.Join('/', segments);
    }

    public string KeyFor(Operation operation) => operation.Scope == "platform" ? TestHost.AdminKey : Owner.Key;

    public Task<Answer> SendAsync(Operation operation, JsonNode? body = null, params (string, string)[] headers) => Owner.Host.SendAsync(
        new HttpMethod(operation.Method), PathOf(operation), operation.Scope is null ? null : KeyFor(operation), body?.ToJsonString(), headers);

    /// <summary>The request of an operation's example, about this tenant's resources.</summary>
    public static JsonObject Example(string operationId) => VoicePlatform.Host.OpenApi.Examples.Of(operationId)!["request"]!.AsObject();

    private async Task AddAsync(string name, string operationId, Action<JsonObject>? change = null)
    {
        var body = Real(Example(operationId))!.AsObject();
        change?.Invoke(body);
        var path = operationId switch
        {
            "createAssistant" => "/v1/assistants", "createTool" => "/v1/tools", "createUser" => "/v1/users", "createTrunk" => "/v1/trunks", "createNumber" => "/v1/numbers", "createKey" => "/v1/keys",
            "createWebhook" => "/v1/webhooks", "placeCall" => "/v1/calls", "startSession" => "/v1/sessions",
            _ => throw new ArgumentOutOfRangeException(nameof(operationId), operationId, null),
        };
        var answer = await MustAsync(path, body);
        _real[name] = answer["id"]!.GetValue<string>();
        foreach (var secret in new[] { "key", "secret", "token" })
        {
            if (answer[secret]?.GetValue<string>() is { } text)
            {
                Secrets.Add(text);
            }
        }
    }

    /// <summary>Named by the tenant: two tenants' may be called the same, which would hide a mix-up.</summary>
    private async Task AddSecretAsync(string name)
    {
        var value = Example("putSecret")["value"]!.GetValue<string>();
        var answer = await Owner.Host.SendAsync(HttpMethod.Put, $"/v1/secrets/{name}", Owner.Key, new { value });
        Assert.That(answer.Status, Is.EqualTo(HttpStatusCode.Created), answer.Body?.ToJsonString());
        _real[Secret] = name;
        Secrets.Add(value);
    }

    private async Task FindAsync(string name, string listPath)
    {
        for (var tries = 0; tries < 200; tries++)
        {
            if ((await Owner.GetAsync(listPath)).Body!["data"]!.AsArray() is [{ } first, ..])
            {
                _real[name] = first["id"]!.GetValue<string>();
                return;
            }

            await Task.Delay(TimeSpan.FromMilliseconds(50), TimeProvider.System);
        }

        Assert.Fail($"{listPath} stays empty.");
    }

    private async Task<JsonNode> MustAsync(string path, JsonObject body, string? key = null)
    {
        var answer = await Owner.Host.SendAsync(HttpMethod.Post, path, key ?? Owner.Key, body.ToJsonString());
        Assert.That(answer.Status, Is.AnyOf(HttpStatusCode.OK, HttpStatusCode.Created, HttpStatusCode.Accepted), $"{path}: {answer.Body?.ToJsonString()}");
        return answer.Body!;
    }
}
