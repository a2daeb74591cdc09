using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using VoicePlatform.LiveKit.Rtc;

namespace VoicePlatform.IntegrationTests;

/// <summary>The one engine of the test process, with the library that <c>eng/livekit-native</c> fetches.</summary>
[SetUpFixture]
internal sealed class Native
{
    private static readonly Lazy<RtcEngine> Shared = new(() => new RtcEngine(Library(), Loggers(), TimeProvider.System));

    public static RtcEngine Engine => Shared.Value;

    [OneTimeTearDown]
    public async Task CloseEngine()
    {
        if (Shared.IsValueCreated)
        {
            await Shared.Value.DisposeAsync();
        }
    }

    /// <summary>Ignores the test, locally, when the library is not to be had.</summary>
    public static RtcLibrary Library()
    {
        var root = Root();
        var directory = Path.Combine(root, ".data", "native");
        var path = Environment.GetEnvironmentVariable("LIVEKIT_FFI_LIBRARY") ?? Fetch(root, directory);
        if (path is null)
        {
            const string missing = "LiveKit's client library could not be fetched: run eng/livekit-native .data/native.";
            if (Environment.GetEnvironmentVariable("CI") is not null)
            {
                Assert.Fail(missing);
            }

            Assert.Ignore(missing);
        }

        return new RtcLibrary(path!, directory);
    }

    private static ILoggerFactory Loggers() =>
        Environment.GetEnvironmentVariable("LIVEKIT_TEST_LOG") is null ? NullLoggerFactory.Instance : LoggerFactory.Create(b => b.AddSimpleConsole().SetMinimumLevel(LogLevel.Trace));

    private static string? Fetch(string root, string directory)
    {
        using var script = Process.Start(new ProcessStartInfo(Path.Combine(root, "eng", "livekit-native"), [directory]) { RedirectStandardOutput = true, UseShellExecute = false })!;
        var path = script.StandardOutput.ReadToEnd().Trim();
        script.WaitForExit();
        return script.ExitCode == 0 ? path : null;
    }

    private static string Root()
    {
        var directory = new DirectoryInfo(TestContext.CurrentContext.TestDirectory);
        while (directory is not null && !File.Exists(Path.Combine(directory.FullName, "VoicePlatform.sln")))
        {
            directory = directory.Parent;
        }

        return directory?.FullName ?? throw new InvalidOperationException("The tests do not run inside the repository.");
    }
}
