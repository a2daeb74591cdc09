using System.Diagnostics;

namespace VoicePlatform.Bench;

/// <summary>Where the figures come from: a figure without its machine says nothing.</summary>
internal static class Machine
{
    /// <summary>The repository's folder.</summary>
    public static string Root { get; } = FindRoot();

    public static async Task PrintAsync(string[] args)
    {
        var cpu = (await File.ReadAllLinesAsync("/proc/cpuinfo")).FirstOrDefault(l => l.StartsWith("model name", StringComparison.Ordinal))?.Split(':')[1].Trim() ?? "unknown";
        var load = (await File.ReadAllTextAsync("/proc/loadavg")).Split(' ')[0];
        var commit = (await RunAsync("git", "rev-parse", "--short", "HEAD")).Trim();
        var changed = (await RunAsync("git", "status", "--porcelain", "src")).Length > 0 ? " with changes" : "";
        Console.WriteLine($"machine  {cpu}, {Environment.ProcessorCount} cores, load {load} before");
        Console.WriteLine($"commit   {commit}{changed}, {TimeProvider.System.GetUtcNow():yyyy-MM-dd HH:mm} UTC");
        Console.WriteLine($"command  dotnet run -c Release --project bench -- {string.Join(' ', args)}\n");
    }

    public static async Task<string> RunAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { WorkingDirectory = Root, UseShellExecute = false, RedirectStandardOutput = true })!;
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        return process.ExitCode == 0 ? output : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} failed.");
    }

    /// <summary>LiveKit's client library, as set-up brought it.</summary>
    public static async Task<string> LibraryAsync() =>
        Path.GetFullPath(Environment.GetEnvironmentVariable("LIVEKIT_FFI_LIBRARY") ?? (await RunAsync("eng/livekit-native", "artifacts/native")).Trim(), Root);

    /// <summary>Processor time a process has used so far, user and system.</summary>
    public static TimeSpan ProcessorTime(int pid)
    {
        using var process = Process.GetProcessById(pid);
        return process.TotalProcessorTime;
    }

    /// <summary>Bytes of a process that are in memory and not shared files.</summary>
    public static long ResidentBytes(int pid)
    {
        var line = File.ReadLines($"/proc/{pid}/status").First(l => l.StartsWith("VmRSS", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], null) * 1024;
    }

    private static string FindRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "VoicePlatform.sln")))
        {
            folder = folder.Parent;
        }

        return folder?.FullName ?? throw new InvalidOperationException("The bench does not run inside the repository.");
    }
}
