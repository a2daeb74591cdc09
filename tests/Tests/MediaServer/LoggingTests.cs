using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Tokens;

namespace VoicePlatform.Tests.MediaServer;

internal sealed class LoggingTests
{
    [Test]
    public async Task No_token_is_ever_logged_even_at_the_finest_level()
    {
        using var recorder = new Recorder();
        using var logs = LoggerFactory.Create(builder => builder.SetMinimumLevel(LogLevel.Trace).AddProvider(recorder));
        await using var server = await TestServer.StartAsync(logs: logs);
        var good = TestServer.JoinToken("r", "alice");
        var bad = good[..^4] + "AAAA";
        foreach (var token in new[] { good, bad })
        {
            using var response = await server.Http.GetAsync($"/rtc/v1/validate?access_token={token}&join_request={SignalClient.Encode(new JoinRequest())}");
        }

        await using var alice = await SignalClient.ConnectAsync(server.Server.Port, good, new JoinRequest());
        var refreshed = (await alice.NextAsync(SignalResponse.MessageOneofCase.RefreshToken)).RefreshToken;
        await server.CallAsync("ListRooms", new VideoGrant { RoomList = true }, new { });
        await server.Server.StopAsync(CancellationToken.None);
        var signatures = new[] { good, bad, refreshed }.Select(token => token.Split('.')[2]).ToArray();
        Assert.That(recorder.Messages, Is.Not.Empty);
        Assert.That(recorder.Messages.Where(message => Array.Exists(signatures, message.Contains)), Is.Empty);
    }

    private sealed class Recorder : ILoggerProvider, ILogger
    {
        public ConcurrentQueue<string> Messages { get; } = new();

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Messages.Enqueue(formatter(state, exception));

        public void Dispose()
        {
        }
    }
}
