using Microsoft.Extensions.Logging;
using VoicePlatform.LiveKit.Rtc.Ffi;
using VoicePlatform.LiveKit.Rtc.Native;
using LogLevel = Microsoft.Extensions.Logging.LogLevel;

namespace VoicePlatform.Tests.LiveKit;

internal sealed class NativeLogTests
{
    [Test]
    public void A_flood_of_the_library_is_cut_and_counted()
    {
        var (logger, clock) = (new Lines(), new SettableClock());
        var log = new NativeLog(logger, clock);
        log.Write(Errors(500));
        Assert.That(logger.Written, Has.Count.EqualTo(NativeLog.MaxPerSecond));

        clock.Now += TimeSpan.FromSeconds(1);
        log.Write(Errors(1));

        Assert.That(logger.Written[^2], Is.EqualTo((LogLevel.Information, "480 lines of LiveKit's client library were left out.")));
        Assert.That(logger.Written[^1], Is.EqualTo((LogLevel.Warning, "engine: broken")));
    }

    private static LogBatch Errors(int count)
    {
        var batch = new LogBatch();
        batch.Records.Add(Enumerable.Repeat(new LogRecord { Level = VoicePlatform.LiveKit.Rtc.Ffi.LogLevel.LogError, Target = "engine", Message = "broken" }, count));
        return batch;
    }

    private sealed class Lines : ILogger
    {
        public List<(LogLevel Level, string Text)> Written { get; } = [];

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Written.Add((logLevel, formatter(state, exception)));
    }

    private sealed class SettableClock : TimeProvider
    {
        public DateTimeOffset Now { get; set; } = DateTimeOffset.UnixEpoch;

        public override DateTimeOffset GetUtcNow() => Now;
    }
}
