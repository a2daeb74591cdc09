using System.Globalization;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace VoicePlatform.Client;

/// <summary>
/// The VoicePlatform API, a method for each operation. Safe for use by many at once. Refusals are <see cref="ProblemException"/>.
/// </summary>
/// <param name="http">Its BaseAddress is the platform's; whoever made it disposes it.</param>
/// <param name="apiKey">An API key (lvk_…).</param>
public sealed partial class VoicePlatformClient(HttpClient http, string apiKey)
{
    private static readonly JsonSerializerOptions Json = new(JsonSerializerDefaults.General) { UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip };

    private async Task<T> SendAsync<T>(HttpMethod method, string path, object? body, RequestOptions? options, CancellationToken ct)
    {
        using var answer = await AskAsync(method, path, body, options, ct).ConfigureAwait(false);
        return await answer.Content.ReadFromJsonAsync<T>(Json, ct).ConfigureAwait(false) ?? throw new JsonException("The answer is empty.");
    }

    private async Task SendAsync(HttpMethod method, string path, object? body, RequestOptions? options, CancellationToken ct) =>
        (await AskAsync(method, path, body, options, ct).ConfigureAwait(false)).Dispose();

    private async Task<HttpResponseMessage> AskAsync(HttpMethod method, string path, object? body, RequestOptions? options, CancellationToken ct)
    {
        using var request = new HttpRequestMessage(method, path);
        request.Headers.Add("x-api-key", apiKey);
        if (options?.IdempotencyKey is { } key)
        {
            request.Headers.Add("Idempotency-Key", key);
        }

        if (options?.IfMatch is { } tag)
        {
            request.Headers.IfMatch.Add(EntityTagHeaderValue.Parse(tag));
        }

        if (body is not null)
        {
            request.Content = JsonContent.Create(body, body.GetType(), options: Json);
        }

        var answer = await http.SendAsync(request, ct).ConfigureAwait(false);
        options?.Answered?.Invoke(new(
            (int)answer.StatusCode, answer.Headers.ETag?.ToString(), answer.Headers.TryGetValues("x-request-id", out var ids) ? ids.First() : null,
            answer.Headers.TryGetValues("Idempotency-Replayed", out _)));
        if (answer.IsSuccessStatusCode)
        {
            return answer;
        }

        using (answer)
        {
            throw await ProblemException.OfAsync(answer, Json, ct).ConfigureAwait(false);
        }
    }

    private static string Text(object value) => Uri.EscapeDataString(Plain(value));

    private static string Query(params (string Name, object? Value)[] parameters)
    {
        var given = parameters.Where(p => p.Value is not null).Select(p => $"{p.Name}={Text(p.Value!)}").ToList();
        return given.Count == 0 ? "" : $"?{string.Join('&', given)}";
    }

    private static string Plain(object value) => value switch
    {
        DateTimeOffset at => at.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fffffff'Z'", CultureInfo.InvariantCulture),
        _ => Convert.ToString(value, CultureInfo.InvariantCulture) ?? "",
    };
}

/// <summary>What a request may carry besides its parameters.</summary>
public sealed record RequestOptions
{
    /// <summary>For POST: repeated within 24 hours with the same key, the request is done once. 1 to 255 printable ASCII characters.</summary>
    public string? IdempotencyKey { get; init; }

    /// <summary>For PATCH and DELETE: the ETag that was read; the change is refused with 412 where there is a newer one.</summary>
    public string? IfMatch { get; init; }

    /// <summary>Told of every answer, refusals too.</summary>
    public Action<AnswerFacts>? Answered { get; init; }
}

/// <param name="ETag">For <see cref="RequestOptions.IfMatch"/>; null where the resource has none.</param>
/// <param name="RequestId">Finds the request in the platform's logs.</param>
/// <param name="IsReplay">The answer of an earlier request with the same key.</param>
public sealed record AnswerFacts(int Status, string? ETag, string? RequestId, bool IsReplay);
