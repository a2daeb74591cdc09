using System.Collections.Concurrent;
using System.Diagnostics;
using System.Text.Json;

namespace VoicePlatform.IntegrationTests.Billing.Proof;

/// <summary>A player in an operating system's process of its own, which can be killed. Operations go in as lines, and come back as lines.</summary>
internal sealed class PlayerProcess : IAsyncDisposable
{
    public const string Verb = "ledger-player";

    private const string Database = "LEDGER_PLAYER_DATABASE";

    private readonly ConcurrentDictionary<int, TaskCompletionSource<Ending?>> _playing = new();
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SemaphoreSlim _writing = new(1, 1);
    private readonly Process _process;
    private readonly Task _reading;
    private int _requests;
    private bool _isDisposed;
    private volatile bool _isOver;

    private PlayerProcess(Process process)
    {
        _process = process;
        _reading = ReadAsync();
    }

    /// <summary>One of its operations stands still in the middle of its transaction.</summary>
    public Task Stopped => _stopped.Task;

    public static async Task<PlayerProcess> StartAsync(string database)
    {
        var start = new ProcessStartInfo("dotnet", [typeof(PlayerProcess).Assembly.Location, Verb])
        {
            UseShellExecute = false,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        };
        start.Environment[Database] = database;
        var process = Process.Start(start)!;
        Assert.That(await process.StandardOutput.ReadLineAsync(), Is.EqualTo("ready"));
        return new PlayerProcess(process);
    }

    /// <summary>Null: nobody knows how it ended.</summary>
    public async Task<Ending?> PlayAsync(Operation operation)
    {
        var ending = new TaskCompletionSource<Ending?>(TaskCreationOptions.RunContinuationsAsynchronously);
        var number = Interlocked.Increment(ref _requests);
        _playing[number] = ending;
        await _writing.WaitAsync();
        try
        {
            await _process.StandardInput.WriteLineAsync(JsonSerializer.Serialize(new Request(number, operation)));
            await _process.StandardInput.FlushAsync();
        }
        catch (Exception e) when (e is IOException or InvalidOperationException)
        {
            ending.TrySetResult(null);      // It is dead.
        }
        finally
        {
            _writing.Release();
        }

        if (_isOver)
        {
            ending.TrySetResult(null);
        }

        return await ending.Task;
    }

    /// <summary>SIGKILL: nothing of it is tidied up.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_isDisposed)
        {
            return;
        }

        _isDisposed = true;
        _process.Kill();
        await _process.WaitForExitAsync();
        await _reading;
        _process.Dispose();
    }

    /// <summary>The other side of it.</summary>
    public static async Task ServeAsync()
    {
        await using var ledger = new BareLedger(Environment.GetEnvironmentVariable(Database)!);
        using var writing = new SemaphoreSlim(1, 1);
        await WriteAsync("ready");
        while (await Console.In.ReadLineAsync() is { } line)
        {
            _ = PlayAsync(JsonSerializer.Deserialize<Request>(line)!);
        }

        async Task PlayAsync(Request request)
        {
            var ending = await Player.PlayAsync(ledger, request.Operation, async _ =>
            {
                await WriteAsync("stopped");
                await Task.Delay(Timeout.InfiniteTimeSpan, TimeProvider.System);
            });
            await WriteAsync($"{request.Number} {JsonSerializer.Serialize(ending)}");
        }

        async Task WriteAsync(string line)
        {
            await writing.WaitAsync();
            await Console.Out.WriteLineAsync(line);
            await Console.Out.FlushAsync();
            writing.Release();
        }
    }

    private async Task ReadAsync()
    {
        while (await _process.StandardOutput.ReadLineAsync() is { } line)
        {
            if (line == "stopped")
            {
                _stopped.TrySetResult();
                continue;
            }

            var space = line.IndexOf(' ', StringComparison.Ordinal);
            if (space < 0)
            {
                break;      // It died in the middle of a line.
            }

            try
            {
                _playing[int.Parse(line.AsSpan(0, space), null)].TrySetResult(JsonSerializer.Deserialize<Ending?>(line[space..]));
            }
            catch (JsonException)
            {
                break;
            }
        }

        _isOver = true;
        foreach (var playing in _playing.Values)
        {
            playing.TrySetResult(null);
        }
    }

    private sealed record Request(int Number, Operation Operation);
}
