using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.LiveKit.Tokens;
using VoicePlatform.MediaServer;

namespace VoicePlatform.Bench;

/// <summary>The embedded media server alone in a process of its own, so that its use of the processor can be told from its clients'.</summary>
internal sealed class ServerProcess : IDisposable
{
    public const string Verb = "serve";

    private static readonly ApiKey Key = new("bench", "a secret of at least thirty-two bytes");

    private readonly Process _process;

    private ServerProcess(Process process, string url) => (_process, Url) = (process, url);

    public string Url { get; }

    public int Pid => _process.Id;

    public static async Task<ServerProcess> StartAsync(CancellationToken ct)
    {
        var process = Process.Start(new ProcessStartInfo("dotnet", [typeof(ServerProcess).Assembly.Location, Verb])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
        var url = await process.StandardOutput.ReadLineAsync(ct) ?? throw new InvalidOperationException("The media server did not start.");
        return new ServerProcess(process, url);
    }

    /// <summary>In the process: serves until its input ends.</summary>
    public static async Task ServeAsync(CancellationToken ct)
    {
        var options = new MediaServerOptions { ApiKeys = new Dictionary<string, string> { [Key.Id] = Key.Secret }, Port = 0, MediaUdpPort = 0 };
        await using var server = new EmbeddedServer(options, TimeProvider.System, NullLoggerFactory.Instance);
        await server.StartAsync(ct);
        Console.WriteLine(server.Url);
        await Console.In.ReadToEndAsync(ct);
    }

    public static string Token(string room, string identity) =>
        new AccessToken { Identity = identity, Video = new VideoGrant { RoomJoin = true, Room = room } }.Sign(Key, TimeProvider.System.GetUtcNow());

    public void Dispose()
    {
        _process.StandardInput.Close();
        if (!_process.WaitForExit(5000))
        {
            _process.Kill();
        }

        _process.Dispose();
    }
}
