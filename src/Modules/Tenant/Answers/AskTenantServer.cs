using System.Net;
using System.Text;
using VoicePlatform.Contracts.Tenants;
using VoicePlatform.Tenants.Events;

namespace VoicePlatform.Tenants.Answers;

internal sealed class AskTenantServerHandler(IHttpClientFactory clients, TimeProvider clock) : IRequestHandler<AskTenantServer, Result<TenantAnswer>>
{
    public async Task<Result<TenantAnswer>> Handle(AskTenantServer request, CancellationToken cancellationToken)
    {
        using var late = new CancellationTokenSource(request.AtMost, clock);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, late.Token);
        try
        {
            using var message = new HttpRequestMessage(HttpMethod.Post, request.Url) { Content = new StringContent(request.BodyJson, Encoding.UTF8, "application/json") };
            message.Headers.TryAddWithoutValidation("user-agent", "VoicePlatform");
            using var response = await clients.CreateClient(WebhookSender.ClientName).SendAsync(message, HttpCompletionOption.ResponseHeadersRead, either.Token);
            if (response.StatusCode is not HttpStatusCode.OK)
            {
                return TenantErrors.ServerAnswered((int)response.StatusCode);
            }

            await response.Content.LoadIntoBufferAsync(request.MaxAnswerBytes, either.Token);
            return new TenantAnswer(await response.Content.ReadAsStringAsync(either.Token));
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return TenantErrors.ServerFailed($"no answer within {request.AtMost.TotalSeconds:0.#} s");
        }
        catch (HttpRequestException e)
        {
            return TenantErrors.ServerFailed(e.Message);
        }
    }
}

internal sealed class CheckTenantUrlHandler(OutboundGuard guard) : IRequestHandler<CheckTenantUrl, Result<UrlVerdict>>
{
    public Task<Result<UrlVerdict>> Handle(CheckTenantUrl request, CancellationToken cancellationToken) => Task.FromResult<Result<UrlVerdict>>(new UrlVerdict(
        !Uri.TryCreate(request.Url, UriKind.Absolute, out var url) || url.Scheme is not ("https" or "http") || url.UserInfo.Length > 0
            ? "It must be an absolute http or https URL without credentials."
            : guard.RefusalOf(url)));
}

internal sealed class CheckTenantAddressHandler(OutboundGuard guard) : IRequestHandler<CheckTenantAddress, Result<UrlVerdict>>
{
    public Task<Result<UrlVerdict>> Handle(CheckTenantAddress request, CancellationToken cancellationToken) => Task.FromResult<Result<UrlVerdict>>(new UrlVerdict(
        IPAddress.TryParse(request.Address, out var address) && guard.IsAllowed(address)
            ? null
            : $"{request.Address} is a private address that this installation does not allow (OUTBOUND_ALLOW_PRIVATE)."));
}
