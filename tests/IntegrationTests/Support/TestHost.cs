using System.Collections.Concurrent;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using VoicePlatform.Host;

namespace VoicePlatform.IntegrationTests.Support;

/// <summary>
/// The real host on real ports, with the embedded media server and a database of its own; without the agent's worker unless asked for.
/// </summary>
internal sealed class TestHost : IAsyncDisposable
{
    public const string AdminKey = "platform-admin-key-of-the-tests";

    private static readonly ConcurrentDictionary<string, Lazy<Task<TestHost>>> Everybodys = new();

    private readonly WebApplication _app;
    private readonly TestDatabase _database;
    private readonly string _dataDir;
    private bool _isShared;

    private TestHost(WebApplication app, TestDatabase database, string url, string dataDir)
    {
        (_app, _database, _dataDir) = (app, database, dataDir);
        Http = new HttpClient { BaseAddress = new Uri(url) };
    }

    public HttpClient Http { get; }

    public IServiceProvider Services => _app.Services;

    public TestDatabase Database => _database;

    public string DataDir => _dataDir;

    /// <summary>What the host logged from Information on.</summary>
    public LogBook Log => _app.Services.GetServices<ILoggerProvider>().OfType<LogBook>().Single();

    public static Task<TestHost> StartAsync(params (string Name, string Value)[] settings) => StartAsync(withAgent: false, settings);

    /// <summary>
    /// One host for all tests that want these settings, make their own tenant and look at nothing else: no log, no other tenant. To dispose of it does
    /// nothing; it ends with the run.
    /// </summary>
    public static async Task<TestHost> SharedAsync(params (string Name, string Value)[] settings)
    {
        var host = await Everybodys.GetOrAdd(string.Join(' ', settings), _ => new(() => StartAsync(settings))).Value;
        host._isShared = true;
        return host;
    }

    public static async Task EndSharedAsync()
    {
        foreach (var shared in Everybodys.Values)
        {
            var host = await shared.Value;
            host._isShared = false;
            await host.DisposeAsync();
        }
    }

    /// <summary>With the agent, over the test process's one engine: conversations are real.</summary>
    public static Task<TestHost> StartWithAgentAsync(params (string Name, string Value)[] settings) => StartAsync(withAgent: true, settings);

    private static async Task<TestHost> StartAsync(bool withAgent, (string Name, string Value)[] settings)
    {
        var database = await TestDatabase.CreateAsync();
        var dataDir = Directory.CreateTempSubdirectory("vp-test").FullName;
        var port = Ports.Next();
        var inProduction = settings.Contains(("VOICEPLATFORM_ENV", "production"));
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { EnvironmentName = inProduction ? Environments.Production : Environments.Development, ContentRootPath = AppContext.BaseDirectory });
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["DATABASE_URL"] = database.App,
            ["DATA_DIR"] = dataDir,
            ["PORT"] = port.ToString(null, null),
            ["EMBEDDED_LIVEKIT_PORT"] = Ports.Next().ToString(null, null),
            ["EMBEDDED_MEDIA_UDP_PORT"] = Ports.Next().ToString(null, null),
            ["EMBEDDED_SIP_PORT"] = Ports.Next().ToString(null, null),
            ["EMBEDDED_SIP_RTP_PORTS"] = "0",
            ["PLATFORM_ADMIN_KEY"] = AdminKey,
            ["LIVEKIT_FFI_LIBRARY"] = "unused",
            ["COMPAT_TENANT"] = "off",
        });
        builder.Configuration.AddInMemoryCollection(settings.ToDictionary(s => s.Name, s => (string?)s.Value));
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        builder.Logging.AddProvider(new LogBook()).AddFilter<LogBook>(null, LogLevel.Information);
        WebApplication? app = null;
        try
        {
            app = StartUp.Build(builder, new Settings(builder.Configuration), services =>
            {
                if (withAgent)
                {
                    services.AddSingleton(Native.Engine);
                }
                else
                {
                    services.Remove(services.Single(s => s.ImplementationType?.Name == "AgentService"));
                }
            });
            await app.StartAsync();
            return new TestHost(app, database, $"http://127.0.0.1:{port}", dataDir);
        }
        catch
        {
            // Some tests want a host that refuses to start: why it did is what they are told, and not what breaks off with it.
            if (app is not null)
            {
                await app.DisposeAsync().AsTask().ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }

            await database.DisposeAsync();
            Directory.Delete(dataDir, recursive: true);
            throw;
        }
    }

    /// <summary>A new tenant's key with every scope.</summary>
    public async Task<TestTenant> SignUpAsync(string name = "Test")
    {
        var answer = await SendAsync(HttpMethod.Post, "/auth/create-key", null, new { user_name = name, org_name = name, user_email = "test@example.com" });
        Assert.That(answer.Status, Is.EqualTo(HttpStatusCode.OK), answer.Body?.ToJsonString());
        var data = answer.Body!["data"]!;
        return new TestTenant(this, data["api_key"]!.GetValue<string>(), data["tenant_id"]!.GetValue<string>());
    }

    public async Task<Answer> SendAsync(HttpMethod method, string path, string? key, object? body = null, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, path);
        if (key is not null)
        {
            request.Headers.Add("x-api-key", key);
        }

        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }

        request.Content = body switch
        {
            null => null,
            string raw => new StringContent(raw, System.Text.Encoding.UTF8, "application/json"),
            _ => JsonContent.Create(body, options: new System.Text.Json.JsonSerializerOptions()),
        };
        using var response = await Http.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();
        return new Answer(
            response.StatusCode,
            text.Length > 0 && response.Content.Headers.ContentType?.MediaType?.EndsWith("json", StringComparison.Ordinal) is true ? JsonNode.Parse(text) : null,
            response.Headers.Concat(response.Content.Headers).ToDictionary(h => h.Key, h => string.Join(',', h.Value), StringComparer.OrdinalIgnoreCase));
    }

    public async ValueTask DisposeAsync()
    {
        if (_isShared)
        {
            return;
        }

        Http.Dispose();
        await _app.StopAsync();
        await _app.DisposeAsync();
        await _database.DisposeAsync();
        Directory.Delete(_dataDir, recursive: true);
    }
}

internal sealed record Answer(HttpStatusCode Status, JsonNode? Body, IReadOnlyDictionary<string, string> Headers)
{
    public string? Code => Body?["code"]?.GetValue<string>();

    /// <summary>The fields a problem names.</summary>
    public IEnumerable<string> Fields => Body?["errors"]?.AsArray().Select(e => e!["field"]!.GetValue<string>()) ?? [];

    public T Get<T>(string name) => Body![name]!.GetValue<T>();
}

/// <summary>A tenant's program.</summary>
internal sealed record TestTenant(TestHost Host, string Key, string TenantId)
{
    public Task<Answer> GetAsync(string path) => Host.SendAsync(HttpMethod.Get, path, Key);

    public Task<Answer> PostAsync(string path, object? body = null, params (string, string)[] headers) => Host.SendAsync(HttpMethod.Post, path, Key, body, headers);

    public Task<Answer> PatchAsync(string path, object body, params (string, string)[] headers) => Host.SendAsync(HttpMethod.Patch, path, Key, body, headers);

    public Task<Answer> DeleteAsync(string path) => Host.SendAsync(HttpMethod.Delete, path, Key);

    public TestTenant WithKey(string key) => this with { Key = key };

    /// <summary>An assistant that answers by rules.</summary>
    public async Task<string> CreateAssistantAsync(object? change = null)
    {
        var answer = await PostAsync("/v1/assistants", change ?? new
        {
            name = "Scripted",
            llm = new
            {
                model = "local/script",
                options = new
                {
                    rules = new object[] { new { when = "name", say = "Your name is {{name}}." }, new { when = "bye", say = "Goodbye.", end_call = true } },
                    otherwise = "Pardon?",
                },
            },
        });
        Assert.That(answer.Status, Is.EqualTo(HttpStatusCode.Created), answer.Body?.ToJsonString());
        return answer.Get<string>("id");
    }

    public async Task<string> StartTextSessionAsync(string assistantId, object? variables = null)
    {
        var answer = await PostAsync("/v1/sessions", new { assistant_id = assistantId, text_only = true, variables });
        Assert.That(answer.Status, Is.EqualTo(HttpStatusCode.Created), answer.Body?.ToJsonString());
        return answer.Get<string>("id");
    }

    public async Task<(long Available, long Held)> BalanceAsync()
    {
        var balance = await GetAsync("/v1/billing/balance");
        return (balance.Get<long>("available"), balance.Get<long>("held"));
    }

    /// <summary>What the operator's reconciliation finds of this tenant.</summary>
    public async Task<List<string>> DifferencesAsync()
    {
        var report = await Host.SendAsync(HttpMethod.Get, "/v1/billing/reconciliation", TestHost.AdminKey);
        return [.. report.Body!["differences"]!.AsArray().Where(d => d!["tenant_id"]!.GetValue<string>() == TenantId).Select(d => d!["what"]!.GetValue<string>())];
    }
}
