using System.Collections.Concurrent;
using System.Net.Http.Headers;
using Microsoft.Extensions.Logging;
using VoicePlatform.LiveKit.Protocol;
using VoicePlatform.LiveKit.Tokens;
using VoicePlatform.LiveKit.Webhooks;
using VoicePlatform.MediaServer.Rooms;

namespace VoicePlatform.MediaServer.Webhooks;

/// <summary>
/// Posts webhooks: in order per room, rooms side by side, each URL tried a few times. A room's queue is bounded; what does not fit,
/// and what no try delivered, is dropped and counted in the next event (<c>num_dropped</c>). Never makes a room wait.
/// </summary>
internal sealed partial class WebhookSender : IAsyncDisposable
{
    /// <summary>Events waiting for one room.</summary>
    public const int QueueLength = 1000;

    private static readonly TimeSpan RequestTimeout = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan[] RetryDelays =
        [TimeSpan.FromMilliseconds(200), TimeSpan.FromMilliseconds(800), TimeSpan.FromSeconds(3)];

    private readonly ConcurrentDictionary<string, Queue<Waiting>> _queues = new(StringComparer.Ordinal);
    private readonly SemaphoreSlim _connections = new(16);
    private readonly CancellationTokenSource _ending = new();       // What is queued gets a last try.
    private readonly CancellationTokenSource _stopping = new();     // Nothing more is sent.
    private readonly MediaServerOptions _options;
    private readonly TimeProvider _clock;
    private readonly ILogger _log;
    private readonly HttpClient _http;
    private readonly ApiKey _key;
    private readonly Task _opened;
    private readonly Lock _gate = new();
    private readonly List<Task> _sending = [];
    private int _dropped;
    private long _totalDropped;

    /// <param name="opened">Nothing is sent before this is over; null: at once.</param>
    public WebhookSender(MediaServerOptions options, TimeProvider clock, ILogger log, Task? opened = null)
    {
        (_options, _clock, _log, _opened) = (options, clock, log, opened ?? Task.CompletedTask);
        var (id, secret) = options.ApiKeys.First();
        _key = new ApiKey(id, secret);
        _http = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false }) { Timeout = RequestTimeout };
        _http.DefaultRequestHeaders.UserAgent.Add(new ProductInfoHeaderValue("LiveKit", null));
    }

    /// <summary>Events dropped since the start.</summary>
    public long Dropped => Interlocked.Read(ref _totalDropped);

    /// <summary>Queues an event; its id and time are set here.</summary>
    /// <param name="told">Called when every receiver has taken it; not called when it was dropped.</param>
    public void Enqueue(string room, WebhookEvent webhook, Action? told = null)
    {
        if (_options.WebhookUrls.Count == 0)
        {
            told?.Invoke();
            return;
        }

        webhook.Id = Sid.Event();
        webhook.CreatedAt = _clock.GetUtcNow().ToUnixTimeSeconds();
        lock (_gate)
        {
            var queue = _queues.GetOrAdd(room, _ => new Queue<Waiting>());
            if (queue.Count >= QueueLength)
            {
                Drop(webhook, "its queue is full");
                return;
            }

            queue.Enqueue(new(webhook, told));
            if (queue.Count == 1)
            {
                // The sender of a room lives as long as its queue is not empty.
                _sending.RemoveAll(task => task.IsCompleted);
                _sending.Add(Task.Run(() => SendAllAsync(room, queue)));
            }
        }
    }

    /// <summary>
    /// Tries what is queued once more, as long as the settings allow. Whoever refuses it then is not waited for: it may be the program that stops, and
    /// listens no more.
    /// </summary>
    public async ValueTask DisposeAsync()
    {
        await _ending.CancelAsync();
        List<Task> open;
        lock (_gate)
        {
            open = [.. _sending];
        }

        var all = Task.WhenAll(open);
        using (var patience = new CancellationTokenSource(_options.WebhookFlushTimeout, _clock))
        {
            await all.WaitAsync(patience.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await _stopping.CancelAsync();
        await all.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _http.Dispose();
        _connections.Dispose();
        _ending.Dispose();
        _stopping.Dispose();
    }

    private async Task SendAllAsync(string room, Queue<Waiting> queue)
    {
        await _opened.WaitAsync(_stopping.Token);
        while (true)
        {
            Waiting next;
            lock (_gate)
            {
                next = queue.Peek();
            }

            if (await SendAsync(next.Webhook))
            {
                next.Told?.Invoke();
            }

            lock (_gate)
            {
                queue.Dequeue();
                if (queue.Count == 0)
                {
                    _queues.TryRemove(room, out _);
                    return;
                }
            }
        }
    }

    private async Task<bool> SendAsync(WebhookEvent webhook)
    {
        var everywhere = true;
        webhook.NumDropped = Interlocked.Exchange(ref _dropped, 0);
        var body = WebhookSigner.Serialize(webhook);
        foreach (var url in _options.WebhookUrls)
        {
            if (!await DeliverAsync(url, webhook, body))
            {
                Interlocked.Add(ref _dropped, webhook.NumDropped);
                Drop(webhook, "no try delivered it");
                everywhere = false;
            }
        }

        return everywhere;
    }

    private async Task<bool> DeliverAsync(Uri url, WebhookEvent webhook, byte[] body)
    {
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                if (await PostAsync(url, body))
                {
                    return true;
                }

                if (attempt >= RetryDelays.Length || _ending.IsCancellationRequested)
                {
                    return false;
                }

                LogRetry(_log, webhook.Event, attempt + 1);
                await Task.Delay(RetryDelays[attempt], _clock, _ending.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            catch (OperationCanceledException) when (_stopping.IsCancellationRequested)
            {
                return false;
            }
        }
    }

    private async Task<bool> PostAsync(Uri url, byte[] body)
    {
        await _connections.WaitAsync(_stopping.Token);
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, url) { Content = new ByteArrayContent(body) };
            request.Content.Headers.ContentType = new MediaTypeHeaderValue(WebhookSigner.ContentType);
            request.Headers.TryAddWithoutValidation("Authorization", WebhookSigner.Sign(body, _key, _clock.GetUtcNow()));
            using var response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, _stopping.Token);
            return response.IsSuccessStatusCode;
        }
        catch (Exception e) when (e is not OperationCanceledException || !_stopping.IsCancellationRequested)
        {
            // Whatever it is: an exception that left here would stop the room's queue for good.
            LogUndelivered(_log, e.Message);
            return false;
        }
        finally
        {
            _connections.Release();
        }
    }

    private void Drop(WebhookEvent webhook, string reason)
    {
        Interlocked.Increment(ref _dropped);
        Interlocked.Increment(ref _totalDropped);
        LogDropped(_log, webhook.Event, webhook.Room?.Name ?? "", reason);
    }

    [LoggerMessage(Level = LogLevel.Warning, Message = "Webhook {Event} was not taken (try {Attempt}); it is tried again")]
    private static partial void LogRetry(ILogger log, string @event, int attempt);

    [LoggerMessage(Level = LogLevel.Debug, Message = "A webhook's receiver could not be reached: {Reason}")]
    private static partial void LogUndelivered(ILogger log, string reason);

    [LoggerMessage(Level = LogLevel.Error, Message = "Webhook {Event} of room {Room} is dropped: {Reason}")]
    private static partial void LogDropped(ILogger log, string @event, string room, string reason);

    private readonly record struct Waiting(WebhookEvent Webhook, Action? Told);
}
