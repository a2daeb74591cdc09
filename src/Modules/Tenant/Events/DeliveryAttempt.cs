using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;

namespace VoicePlatform.Tenants.Events;

/// <summary>One attempt to deliver: signed now, sent to one address, answered within 15 s or not at all. Redirects are not followed.</summary>
internal sealed class DeliveryAttempt(IHttpClientFactory clients, SecretBox box, TimeProvider clock)
{
    public const string NoAnswer = "No answer within 15 s.";

    private const int ExcerptChars = 500;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan ExcerptPatience = TimeSpan.FromSeconds(1);

    /// <exception cref="OperationCanceledException">The token was cancelled: nothing is known of this attempt.</exception>
    public async Task<AttemptResult> SendAsync(ClaimedDelivery delivery, CancellationToken ct)
    {
        var startedAt = clock.GetUtcNow();
        var started = clock.GetTimestamp();
        if (delivery.IsGone)
        {
            return new(delivery, startedAt, TimeSpan.Zero, null, "The webhook was removed or disabled.", null, false, null);
        }

        int? status = null;
        string? error = null, answer = null;
        TimeSpan? retryAfter = null;
        using var patience = new CancellationTokenSource(Patience, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, patience.Token);
        try
        {
            using var request = Request(delivery, startedAt);
            using var response = await clients.CreateClient(TenantHttp.Client).SendAsync(request, HttpCompletionOption.ResponseHeadersRead, either.Token);
            status = (int)response.StatusCode;
            retryAfter = RetryAfter(response.Headers.RetryAfter);
            error = status is >= 300 and < 400 ? $"It answered {status}: redirects are not followed; give the webhook its final address." : null;
            answer = await ExcerptAsync(response, either.Token);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            error = NoAnswer;
        }
        catch (HttpRequestException e)
        {
            error = Printable(e.Message);
        }
        catch (Exception e) when (e is UriFormatException or InvalidOperationException or NotSupportedException or CryptographicException)
        {
            // An address that is none, or a secret that no key opens: nothing was sent.
            error = Printable(e.Message);
        }

        var delivered = status is >= 200 and < 300;
        var next = delivered || status is (int)HttpStatusCode.Gone ? null : RetrySchedule.WaitAfter(delivery.Try, retryAfter, Random.Shared.NextDouble());
        return new(delivery, startedAt, clock.GetElapsedTime(started), status, error, answer, delivered, clock.GetUtcNow() + next);
    }

    private HttpRequestMessage Request(ClaimedDelivery delivery, DateTimeOffset at)
    {
        var seconds = at.ToUnixTimeSeconds();
        var request = new HttpRequestMessage(HttpMethod.Post, delivery.Url) { Content = new ByteArrayContent(delivery.Body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Headers.TryAddWithoutValidation("user-agent", "VoicePlatform-Webhooks");
        request.Headers.TryAddWithoutValidation(WebhookSignature.IdHeader, delivery.EventId);
        request.Headers.TryAddWithoutValidation(WebhookSignature.TimestampHeader, seconds.ToString("0", null));
        if (delivery is { Secret: { } secret, WebhookId: { } webhookId })
        {
            var secrets = new[] { secret, delivery.PreviousSecret }.OfType<byte[]>().Select(s => box.Open(s, webhookId));
            request.Headers.TryAddWithoutValidation(WebhookSignature.SignatureHeader, WebhookSignature.Sign(secrets, delivery.EventId, seconds, delivery.Body));
        }

        return request;
    }

    private TimeSpan? RetryAfter(RetryConditionHeaderValue? header) => header?.Delta ?? (header?.Date is { } date && date > clock.GetUtcNow() ? date - clock.GetUtcNow() : null);

    /// <summary>The first characters of the answer. A body that drips does not change what the status says, and is not waited for.</summary>
    private async Task<string?> ExcerptAsync(HttpResponseMessage response, CancellationToken ct)
    {
        if (response.Content.Headers.ContentLength == 0)
        {
            return null;
        }

        using var patience = new CancellationTokenSource(ExcerptPatience, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, patience.Token);
        var buffer = new byte[ExcerptChars * 4];
        var length = 0;
        try
        {
            await using var body = await response.Content.ReadAsStreamAsync(either.Token);
            while (length < buffer.Length && await body.ReadAsync(buffer.AsMemory(length), either.Token) is > 0 and var read)
            {
                length += read;
            }
        }
        catch (Exception e) when (e is OperationCanceledException or HttpRequestException or IOException)
        {
            // What came so far is enough.
        }

        return length == 0 ? null : Printable(Encoding.UTF8.GetString(buffer, 0, length));
    }

    /// <summary>What a stranger sent, as text that a database and a page can take: no control characters, no halves of characters.</summary>
    internal static string Printable(string text)
    {
        var clean = new StringBuilder();
        foreach (var rune in text.EnumerateRunes())
        {
            if (clean.Length + rune.Utf16SequenceLength > ExcerptChars)
            {
                break;
            }

            clean.Append(Rune.IsControl(rune) ? " " : rune.ToString());
        }

        return clean.ToString();
    }
}
