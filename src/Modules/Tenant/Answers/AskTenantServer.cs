using System.Net;
using System.Text;
using VoicePlatform.Contracts.Tenants;
using VoicePlatform.Tenants.Events;

namespace VoicePlatform.Tenants.Answers;

internal sealed class AskTenantServerHandler(IHttpClientFactory clients, TimeProvider clock) : IRequestHandler<AskTenantServer, Result<TenantAnswer>>
{
    private const int MaxRedirects = 3;

    public async Task<Result<TenantAnswer>> Handle(AskTenantServer request, CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(request.AtMost, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, late.Token);
        try
        {
            using var response = await SendAsync(request, either.Token);
            if (!response.IsSuccessStatusCode && !request.TakesAnything)
            {
                return TenantErrors.ServerAnswered((int)response.StatusCode);
            }

            var text = request.TakesAnything
                ? await BeginningAsync(response.Content, request.MaxAnswerBytes, either.Token)
                : await WholeAsync(response.Content, request.MaxAnswerBytes, either.Token);
            return new TenantAnswer(text, (int)response.StatusCode, response.Content.Headers.ContentType?.MediaType);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return TenantErrors.ServerFailed($"no answer within {request.AtMost.TotalSeconds:0.#} s");
        }
        catch (Exception e) when (e is HttpRequestException or UriFormatException or NotSupportedException or InvalidOperationException or FormatException or IOException)
        {
            return TenantErrors.ServerFailed(DeliveryAttempt.Printable(e.Message.TrimEnd('.')));
        }
    }

    /// <exception cref="HttpRequestException">It is longer.</exception>
    private static async Task<string> WholeAsync(HttpContent content, int maxBytes, CancellationToken ct)
    {
        await content.LoadIntoBufferAsync(maxBytes, ct);
        return await content.ReadAsStringAsync(ct);
    }

    /// <summary>What is longer is not read.</summary>
    private static async Task<string> BeginningAsync(HttpContent content, int maxBytes, CancellationToken ct)
    {
        await using var stream = await content.ReadAsStreamAsync(ct);
        var buffer = new byte[maxBytes];
        var length = await stream.ReadAtLeastAsync(buffer, maxBytes, throwOnEndOfStream: false, ct);
        return Encoding.UTF8.GetString(buffer, 0, length);
    }

    /// <summary>Each step of a redirect is a request of its own, and passes the guard again. Headers of ours go to the first server only.</summary>
    private async Task<HttpResponseMessage> SendAsync(AskTenantServer request, CancellationToken ct)
    {
        var client = clients.CreateClient(TenantHttp.Client);
        var url = new Uri(request.Url, UriKind.Absolute);
        var (method, body) = (new HttpMethod(request.Method), request.BodyJson);
        for (var redirects = 0; ; redirects++)
        {
            using var message = new HttpRequestMessage(method, url);
            message.Content = body is null ? null : new StringContent(body, Encoding.UTF8, "application/json");
            message.Headers.TryAddWithoutValidation("user-agent", "VoicePlatform");
            var isFirstServer = Uri.Compare(url, new Uri(request.Url), UriComponents.SchemeAndServer, UriFormat.SafeUnescaped, StringComparison.OrdinalIgnoreCase) == 0;
            foreach (var (name, value) in isFirstServer ? request.Headers ?? [] : [])
            {
                message.Headers.Remove(name);
                if (!message.Headers.TryAddWithoutValidation(name, value))
                {
                    message.Content?.Headers.TryAddWithoutValidation(name, value);
                }
            }

            var response = await client.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, ct);
            if (!request.FollowsRedirects || !IsRedirect(response.StatusCode) || response.Headers.Location is not { } location)
            {
                return response;
            }

            using (response)
            {
                var next = new Uri(url, location);
                if (redirects == MaxRedirects)
                {
                    throw new HttpRequestException($"it redirects more than {MaxRedirects} times");
                }

                if (next.Scheme != Uri.UriSchemeHttps && (next.Scheme != Uri.UriSchemeHttp || url.Scheme == Uri.UriSchemeHttps))
                {
                    throw new HttpRequestException("it redirects to an address that is less safe than its own");
                }

                url = next;
                if (response.StatusCode is HttpStatusCode.SeeOther || (method == HttpMethod.Post && response.StatusCode is HttpStatusCode.Moved or HttpStatusCode.Found))
                {
                    (method, body) = (HttpMethod.Get, null);
                }
            }
        }
    }

    private static bool IsRedirect(HttpStatusCode status) => status
        is HttpStatusCode.Moved or HttpStatusCode.Found or HttpStatusCode.SeeOther or HttpStatusCode.TemporaryRedirect or HttpStatusCode.PermanentRedirect;
}

internal sealed class CheckTenantUrlHandler(OutboundGuard guard) : IRequestHandler<CheckTenantUrl, Result<UrlVerdict>>
{
    public Task<Result<UrlVerdict>> Handle(CheckTenantUrl request, CancellationToken cancellationToken) =>
        Task.FromResult<Result<UrlVerdict>>(new UrlVerdict(guard.RefusalOf(request.Url)));
}

internal sealed class CheckTenantAddressHandler(OutboundGuard guard) : IRequestHandler<CheckTenantAddress, Result<UrlVerdict>>
{
    public Task<Result<UrlVerdict>> Handle(CheckTenantAddress request, CancellationToken cancellationToken) => Task.FromResult<Result<UrlVerdict>>(new UrlVerdict(
        IPAddress.TryParse(request.Address, out var address) && guard.IsAllowed(address)
            ? null
            : $"{request.Address} is a private address that this installation does not allow (OUTBOUND_ALLOW_PRIVATE)."));
}
