using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using VoicePlatform.Host;

namespace VoicePlatform.Bench;

/// <summary>The real host without the agent, in this process, over a private PostgreSQL cluster that goes with it.</summary>
internal sealed class InProcessHost : IAsyncDisposable
{
    private readonly string _dataDir;

    private InProcessHost(WebApplication app, string dataDir, string database) => (App, _dataDir, Database, Http) = (app, dataDir, database, new HttpClient { BaseAddress = new Uri(app.Urls.First()) });

    public WebApplication App { get; }

    /// <summary>As the host connects.</summary>
    public string Database { get; }

    public HttpClient Http { get; }

    /// <param name="map">Endpoints to measure against, beside the host's own.</param>
    public static async Task<InProcessHost> StartAsync(CancellationToken ct, Action<WebApplication>? map = null, params (string Name, string Value)[] settings)
    {
        var dataDir = Directory.CreateTempSubdirectory("bench-").FullName;
        await Machine.RunAsync("eng/postgres", "start", dataDir);
        await HostProcess.MigrateAsync(dataDir, (await Machine.RunAsync("eng/postgres", "owner-url", dataDir)).Trim(), ct);
        var database = (await Machine.RunAsync("eng/postgres", "url", dataDir)).Trim();
        var builder = WebApplication.CreateBuilder(new WebApplicationOptions { EnvironmentName = Environments.Development, ContentRootPath = AppContext.BaseDirectory });
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["DATABASE_URL"] = database,
            ["DATA_DIR"] = dataDir,
            ["PORT"] = FreePort(),
            ["EMBEDDED_LIVEKIT_PORT"] = FreePort(),
            ["EMBEDDED_MEDIA_UDP_PORT"] = FreePort(),
            ["EMBEDDED_SIP_PORT"] = FreePort(),
            ["EMBEDDED_SIP_RTP_PORTS"] = "0",
            ["LIVEKIT_FFI_LIBRARY"] = "unused",
        });
        builder.Configuration.AddInMemoryCollection(settings.ToDictionary(s => s.Name, s => (string?)s.Value));
        builder.Logging.SetMinimumLevel(LogLevel.Error);
        var app = StartUp.Build(builder, new Settings(builder.Configuration), services => services.Remove(services.Single(s => s.ImplementationType?.Name == "AgentService")));
        map?.Invoke(app);
        await app.StartAsync(ct);
        return new InProcessHost(app, dataDir, database);
    }

    /// <summary>A new tenant.</summary>
    public async Task<(string Key, string TenantId)> SignUpAsync(CancellationToken ct)
    {
        var data = (await SendAsync(HttpMethod.Post, "/auth/create-key", null, new { user_name = "bench", org_name = "bench", user_email = "bench@example.com" }, ct)).GetProperty("data");
        return (data.GetProperty("api_key").GetString()!, data.GetProperty("tenant_id").GetString()!);
    }

    /// <exception cref="HttpRequestException">It was refused.</exception>
    public async Task<JsonElement> SendAsync(HttpMethod method, string path, string? key, object? body, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(method, path);
        request.Headers.TryAddWithoutValidation("x-api-key", key);
        request.Content = body is null ? null : new StringContent(JsonSerializer.Serialize(body), Encoding.UTF8, "application/json");
        using var response = await Http.SendAsync(request, ct);
        response.EnsureSuccessStatusCode();
        return JsonSerializer.Deserialize<JsonElement>(await response.Content.ReadAsStreamAsync(ct));
    }

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await App.StopAsync();
        await App.DisposeAsync();
        await HostProcess.RemoveClusterAsync(_dataDir);
    }

    private static string FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return $"{((IPEndPoint)socket.LocalEndPoint!).Port}";
    }
}
