using System.Diagnostics;
using System.Text.Json;
using System.Threading.Channels;

namespace VoicePlatform.IntegrationTests.MediaServer;

/// <summary>
/// A script under <c>tests/IntegrationTests/Node</c> that drives LiveKit's official clients. It tells its steps as JSON lines; the
/// packages are installed once per checkout.
/// </summary>
internal sealed class NodeScript : IAsyncDisposable
{
    private static readonly TimeSpan StepTimeout = TimeSpan.FromSeconds(45);

    private static readonly Lazy<Task> Installation = new(InstallAsync);

    private readonly Process _process;
    private readonly Channel<string> _lines = Channel.CreateBounded<string>(1000);
    private readonly List<string> _log = [];
    private readonly Task _reading;

    private NodeScript(Process process)
    {
        _process = process;
        _reading = Task.WhenAll(ReadAsync(process.StandardOutput, isOutput: true), ReadAsync(process.StandardError, isOutput: false));
    }

    private static string Folder { get; } = FindFolder();

    /// <summary>Starts a script, or ignores the test where there is no Node.js.</summary>
    public static async Task<NodeScript> StartAsync(string script, Uri livekit, string apiKey, string apiSecret, params (string Name, string Value)[] more)
    {
        await Installation.Value;
        var start = NewStart("node", script);
        start.Environment["LIVEKIT_URL"] = livekit.ToString().TrimEnd('/');
        start.Environment["LIVEKIT_API_KEY"] = apiKey;
        start.Environment["LIVEKIT_API_SECRET"] = apiSecret;
        foreach (var (name, value) in more)
        {
            start.Environment[name] = value;
        }

        return new NodeScript(Process.Start(start)!);
    }

    /// <summary>Waits for a step; the facts told with it are returned. Fails with the script's own words when it failed.</summary>
    public async Task<JsonElement> StepAsync(string step)
    {
        using var patience = new CancellationTokenSource(StepTimeout, TimeProvider.System);
        try
        {
            while (true)
            {
                using var told = JsonDocument.Parse(await _lines.Reader.ReadAsync(patience.Token));
                var name = told.RootElement.GetProperty("step").GetString();
                if (name == "failed")
                {
                    Assert.Fail($"Waiting for '{step}': {told.RootElement.GetProperty("error").GetString()}");
                }

                if (name == step)
                {
                    return told.RootElement.Clone();
                }
            }
        }
        catch (Exception e) when (e is OperationCanceledException or ChannelClosedException)
        {
            Assert.Fail($"The script never told '{step}'. It said:\n{string.Join('\n', _log.TakeLast(40))}");
            throw;
        }
    }

    /// <summary>Lets a waiting script go on.</summary>
    public async Task GoOnAsync()
    {
        await _process.StandardInput.WriteLineAsync();
        await _process.StandardInput.FlushAsync();
    }

    /// <summary>Ends the script at once, as a crash would.</summary>
    public void Kill() => _process.Kill();

    public async ValueTask DisposeAsync()
    {
        _process.StandardInput.Close();
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(5), TimeProvider.System);
        await _process.WaitForExitAsync(patience.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
        }

        await _reading;
        _process.Dispose();
    }

    private static ProcessStartInfo NewStart(string program, params string[] arguments) => new(program, arguments)
    {
        WorkingDirectory = Folder,
        UseShellExecute = false,
        RedirectStandardInput = true,
        RedirectStandardOutput = true,
        RedirectStandardError = true,
    };

    private static async Task InstallAsync()
    {
        if (Directory.Exists(Path.Combine(Folder, "node_modules", "@livekit", "rtc-node")))
        {
            return;
        }

        try
        {
            using var npm = Process.Start(NewStart("npm", "ci", "--no-audit", "--no-fund"))!;
            npm.StandardInput.Close();
            var output = npm.StandardOutput.ReadToEndAsync();
            var errors = npm.StandardError.ReadToEndAsync();
            await npm.WaitForExitAsync();
            Assert.That(npm.ExitCode, Is.Zero, $"npm ci in tests/IntegrationTests/Node failed: {await output} {await errors}");
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Assert.Ignore("Node.js and npm are needed for the tests with LiveKit's clients: apt-get install nodejs npm.");
        }
    }

    private static string FindFolder()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "VoicePlatform.sln")))
        {
            folder = folder.Parent;
        }

        return Path.Combine(folder?.FullName ?? ".", "tests", "IntegrationTests", "Node");
    }

    private async Task ReadAsync(StreamReader from, bool isOutput)
    {
        while (await from.ReadLineAsync() is { } line)
        {
            lock (_log)
            {
                _log.Add(line);
            }

            if (isOutput && line.StartsWith("{\"step\"", StringComparison.Ordinal))
            {
                await _lines.Writer.WriteAsync(line);
            }
        }

        if (isOutput)
        {
            _lines.Writer.TryComplete();
        }
    }
}
