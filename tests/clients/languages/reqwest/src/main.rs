// See languages_test.cpp for what it prints.
use reqwest::{Client, Response, Result};

const SITE: &str = "https://api.example.test";

async fn print(what: &str, response: Response) -> Result<()> {
    let (version, status) = (response.version(), response.status().as_u16());
    println!("{what} {version:?} {status} {}", response.text().await?.trim());
    Ok(())
}

async fn size(client: &Client) -> Result<usize> {
    Ok(client.get(format!("{SITE}/bytes/100000")).send().await?.bytes().await?.len())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let client = Client::new();
    print("get", client.get(format!("{SITE}/echo/get")).send().await?).await?;
    print("post", client.post(format!("{SITE}/echo/post")).body("from the sandbox").send().await?).await?;
    let sizes = futures_util::future::try_join_all((0..8).map(|_| size(&client))).await?;
    println!("many {}", sizes.iter().sum::<usize>());
    print("upload", client.post(format!("{SITE}/sha256")).body(vec![b'u'; 3_000_000]).send().await?).await?;
    print("refused", client.get(format!("{SITE}/refused")).send().await?).await
}
